"""Origins out of an image's history."""

from __future__ import annotations

import pytest

from chassis.oci.descriptor import Origin
from chassis.oci.explain.placement import KINDS, origins, why

_HISTORY = {
    "chassis: wheel numpy 1.26.4": Origin("wheel", "numpy", "1.26.4"),
    "chassis: wheels attrs 23.1, six 1.16": Origin("wheels", "attrs 23.1, six 1.16"),
    "chassis: runtime //chassis/runtime:server": Origin("runtime", "//chassis/runtime:server"),
    "chassis: model //model:digits 0.0.1": Origin("model", "//model:digits", "0.0.1"),
    "chassis: other thing": Origin("layer", "chassis: other thing"),
    "/bin/sh -c #(nop) ADD file:1 in / ": Origin("layer", "ADD file:1 in /"),
    "RUN pip install six # buildkit": Origin("layer", "RUN pip install six # buildkit"),
    "": Origin("layer", ""),
}


@pytest.mark.parametrize("text", _HISTORY)
def test_a_command_tells_an_origin(text):
    assert origins([{"created_by": text}], 1) == [_HISTORY[text]]


def test_entries_without_a_layer_do_not_count():
    history = [{"created_by": "COPY a b"}, {"created_by": "ENV A=1", "empty_layer": True}, {"comment": "x"}]
    assert [str(origin) for origin in origins(history, 2)] == ["layer COPY a b", "layer x"]


@pytest.mark.parametrize("history", [None, [], [{"created_by": "a"}] * 3, ["a", "b"]])
def test_a_history_that_does_not_fit_tells_nothing(history):
    assert origins(history, 2) == [Origin("layer", ""), Origin("layer", "")]


def test_every_kind_has_a_reason_of_its_own():
    assert len({why(Origin(kind, "x")) for kind in (*KINDS, "layer")}) == len(KINDS) + 1
    assert why(Origin("unheard of", "x")) == why(Origin("layer", "x"))
