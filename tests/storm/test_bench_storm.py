"""The storms of `make bench-storm` with a hundred hosts, through the gate: what comes of them, not how long it took."""

import pytest
from benches.peers.storm import Knobs
from benches.storm_scenarios import BY_NAME
from benches.storm_world import Outcome, Terms, play

pytestmark = [pytest.mark.storm, pytest.mark.timeout(120)]

HOSTS = 100


def through_the_gate(name: str) -> Outcome:
    return play(BY_NAME[name].small(HOSTS), "tidegate", 1, Terms(speed=10.0, best=Knobs()))


@pytest.mark.parametrize("name", ["s1", "s4", "s5", "s8"])
def test_every_host_gets_in_and_nobody_waits_in_vain(name: str) -> None:
    outcome = through_the_gate(name)
    assert outcome.hosts["connected"] == HOSTS
    assert outcome.hosts["timeouts"] == 0
    assert outcome.server["max_in_flight"] < HOSTS / 2
    # A gate that is killed leaves the calls that it had in flight to a server that works on for nobody.
    in_vain = outcome.server["max_in_flight"] if name == "s8" else 0
    assert outcome.server["wasted_units"] <= in_vain
