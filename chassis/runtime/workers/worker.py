"""One process of the model: loads it, then answers lists of items until its connection ends."""

from __future__ import annotations

import contextlib
import gc
import logging
import socket
import time
from typing import TYPE_CHECKING, NoReturn

from chassis.runtime import logs
from chassis.runtime.core.answer import Answer, describe_exception, exception_kind, frames
from chassis.runtime.core.loading import load_model
from chassis.runtime.core.predict import ModelContractError, Predict
from chassis.runtime.ending import CLOSING, end_process
from chassis.runtime.settings import Settings
from chassis.runtime.workers import forks, messages
from chassis.runtime.workers.messages import FAILED, LOADED, Message, PeerGoneError

if TYPE_CHECKING:
    from chassis.call import Request

_LOG = logging.getLogger(__name__)


def work(connection: socket.socket, settings: Settings, number: int) -> NoReturn:
    """Serves as the worker `number`; ends the process."""
    forks.keep_signals()
    logs.configure(settings.log_format, settings.log_level, {"worker": number})
    started = time.monotonic()
    try:
        try:
            predict = load_model(settings)
            gc.enable()
        except BaseException as error:
            _LOG.error("the model could not be loaded", exc_info=True)
            messages.send(connection, (FAILED, describe_exception(error)))
            end_process(1, CLOSING)
        _LOG.info("model loaded", extra={"seconds": round(time.monotonic() - started, 3)})
        messages.send(connection, (LOADED, ""))
        reader = messages.MessageReader(connection)
        while True:
            message = reader.receive()
            items, requests = message[1], messages.read_requests(message)
            if messages.wants_stream(message):
                answers = _streamed(predict, items, requests, connection, reader)
            else:
                answers = _answers(predict, items, requests)
            del message
            del items  # they may be large, and the next ones long in coming
            messages.send(connection, answers)
            del answers
    except PeerGoneError:
        end_process(0, CLOSING)


def _answers(predict: Predict, items: list[dict[str, bytes]], requests: list[Request]) -> Message:
    try:
        return messages.answers_message(predict(items, requests))
    except ModelContractError as error:
        return messages.contract_message(error)
    except BaseException as error:
        _LOG.debug("the error of the call", exc_info=True)
        return messages.raised_message(exception_kind(error), describe_exception(error), frames(error))


def _streamed(
    predict: Predict,
    items: list[dict[str, bytes]],
    requests: list[Request],
    connection: socket.socket,
    reader: messages.MessageReader,
) -> Message:
    """Gives the pieces of the one item, each when it is asked for; returns what ends them."""
    if not items:
        return messages.answers_message([])
    try:
        with contextlib.closing(predict.stream(items[0], requests)) as pieces:  # type: ignore[type-var]
            for piece in pieces:
                messages.send(connection, messages.piece_message(piece))
                if not messages.wants_more(reader.receive()):
                    break
        return messages.answers_message([Answer({})])
    except PeerGoneError:
        raise
    except ModelContractError as error:
        return messages.contract_message(error)
    except BaseException as error:
        _LOG.debug("the error of the call", exc_info=True)
        return messages.raised_message(exception_kind(error), describe_exception(error), frames(error))
