"""Signatures as Standard Webhooks has them, by the example of its reference implementation."""

import pytest

from chassis.build_api.webhook_signature import WebhookSignatureError, sign_webhook, verify_webhook

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
IDENTIFIER, TIME, BODY = "msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330, b'{"test": 2432232314}'
SIGNATURE = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


def test_a_signature_is_the_standards():
    headers = sign_webhook(SECRET, IDENTIFIER, TIME, BODY)
    assert headers["webhook-signature"] == SIGNATURE
    verify_webhook(SECRET, {name.title(): value for name, value in headers.items()}, BODY, now=TIME + 10)


def test_one_of_several_signatures_is_enough():
    headers = sign_webhook(SECRET, IDENTIFIER, TIME, BODY)
    headers["webhook-signature"] = f"v1,AAAA v2,{SIGNATURE} {SIGNATURE}"
    verify_webhook(SECRET, headers, BODY, now=TIME)


@pytest.mark.parametrize(
    "wrong",
    [
        {"webhook-signature": "v1,AAAA"},
        {"webhook-signature": ""},
        {"webhook-signature": SIGNATURE.removeprefix("v1,")},
        {"webhook-signature": "v1,\u00e9"},
        {"webhook-timestamp": "1614265330.0"},
        {"webhook-timestamp": "-1614265330"},
        {"webhook-timestamp": "\u0661"},
        {"webhook-timestamp": "9" * 400},
        {"webhook-id": "another"},
    ],
)
def test_anything_else_is_refused(wrong):
    headers = sign_webhook(SECRET, IDENTIFIER, TIME, BODY)
    with pytest.raises(WebhookSignatureError):
        verify_webhook(SECRET, headers | wrong, BODY, now=TIME)
    with pytest.raises(WebhookSignatureError, match="no header webhook-id"):
        verify_webhook(SECRET, {}, BODY, now=TIME)
    with pytest.raises(WebhookSignatureError, match="the secret is not one"):
        verify_webhook("whsec_?", headers, BODY, now=TIME)
