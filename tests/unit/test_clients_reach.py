"""From an endpoint in a file to a client's options."""

from __future__ import annotations

from pathlib import Path

from tidegate.clients.reach import manager_options, ssh_options, vcenter_options
from tidegate.config.reach import Endpoint, Ssh

ENDPOINT = Endpoint.model_validate(
    {"address": "vc.example", "port": 8443, "user": "reader", "ca": "/etc/ca.pem", "verify": True}
)


def test_a_manager_is_called_by_its_kind_and_address() -> None:
    options = manager_options(ENDPOINT, "NSX Manager")
    assert (options.address, options.port, options.whose) == ("vc.example", 8443, "NSX Manager vc.example")
    assert (options.trust.ca, options.timeout_s) == (Path("/etc/ca.pem"), 30)


def test_a_vcenter_has_the_variable_that_it_names_or_the_usual_one() -> None:
    assert vcenter_options(ENDPOINT).password_env == "TIDEGATE_VCENTER_PASSWORD"
    assert vcenter_options(ENDPOINT.model_copy(update={"password_env": "OTHER"})).password_env == "OTHER"


def test_ssh_is_as_the_file_says() -> None:
    options = ssh_options(Ssh(user="guest", port=2222), 3)
    assert (options.user, options.port, options.at_once, options.check_host_key) == ("guest", 2222, 3, True)
