"""Every module is tested: some test file imports it, or is named here as the one that runs it."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
SOURCE, TESTS = ROOT / "src", ROOT / "tests"
# Modules that tests reach through a command or a process, and the tests that do.
THROUGH = {
    "tidegate.__main__": "cli/test_app.py",
    "tidegate.cli.demo": "cli/test_demo.py",
    "tidegate.cli.diagnose": "cli/test_diagnose.py",
    "tidegate.cli.demo_fleet": "storm/test_fleet_demo.py",
    "tidegate.cli.demo_half_open": "cli/test_demo_half_open.py",
    "tidegate.cli.demos": "cli/test_demo.py",
    "tidegate.cli.fleet": "cli/test_fleet.py",
    "tidegate.cli.fleet_guards": "cli/test_fleet.py",
    "tidegate.cli.fleet_parts": "cli/test_fleet.py",
    "tidegate.cli.fleet_run": "cli/test_fleet.py",
    "tidegate.cli.fleet_talk": "cli/test_fleet.py",
    "tidegate.cli.flow": "cli/test_flow.py",
    "tidegate.cli.flow_stats": "cli/test_flow.py",
    "tidegate.cli.flow_watch": "storm/test_flow_watch.py",
    "tidegate.cli.gate": "cli/test_gate_check.py",
    "tidegate.cli.gate_file": "cli/test_gate_check.py",
    "tidegate.cli.gate_init": "cli/test_gate_init.py",
    "tidegate.cli.gate_ports": "cli/test_gate_ports.py",
    "tidegate.cli.gate_record": "storm/test_record.py",
    "tidegate.cli.gate_sessions": "cli/test_gate_sessions.py",
    "tidegate.cli.gate_talk": "cli/test_gate_talk.py",
    "tidegate.cli.inputs": "cli/test_flow.py",
    "tidegate.cli.other_files": "cli/test_gate_check.py",
    "tidegate.cli.printer": "cli/test_app.py",
    "tidegate.cli.reports": "cli/test_demo.py",
    "tidegate.cli.rules": "cli/test_rules.py",
    "tidegate.cli.rules_check": "cli/test_rules.py",
    "tidegate.cli.rules_export": "cli/test_rules.py",
    "tidegate.cli.rules_runbook": "cli/test_rules.py",
    "tidegate.cli.rules_show": "cli/test_rules.py",
    "tidegate.cli.sim": "cli/test_sim.py",
    "tidegate.cli.sim_plan": "cli/test_sim.py",
    "tidegate.cli.sim_replay": "storm/test_record.py",
    "tidegate.cli.sim_run": "cli/test_sim.py",
    "tidegate.cli.status_text": "cli/test_gate_talk.py",
    "tidegate.cli.watch": "cli/test_watch.py",
    "tidegate.cli.watch_check": "cli/test_watch.py",
    "tidegate.compiled": "unit/test_gate_limiter.py",
    "tidegate.config.broken": "unit/test_config_load.py",
    "tidegate.config.check": "cli/test_gate_check.py",
    "tidegate.config.fields": "unit/test_config_load.py",
    "tidegate.config.numbers": "unit/test_config_plan.py",
    "tidegate.config.values": "unit/test_config_load.py",
    "tidegate.config.model": "unit/test_config_load.py",
    "tidegate.config.plan": "unit/test_config_plan.py",
    "tidegate.config.problems": "unit/test_config_load.py",
    "tidegate.config.rules": "unit/test_config_load.py",
    "tidegate.config.vcenter": "unit/test_config_vcenter.py",
    "tidegate.config.vcenter_plan": "unit/test_config_vcenter.py",
    "tidegate.config.vcenter_rules": "unit/test_config_vcenter.py",
    "tidegate.config.reach": "cli/test_fleet.py",
    "tidegate.daemon": "storm/test_gate_process.py",
    "tidegate.fleet.guard_tables": "cli/test_fleet.py",
    "tidegate.gate.core": "unit/test_gate_limiter.py",
    "tidegate.gate.look": "cli/test_gate_init.py",
    "tidegate.gate.process": "storm/test_gate_process.py",
    "tidegate.gate.template": "cli/test_gate_init.py",
    "tidegate.lab.fleet_host_process": "storm/test_fleet_demo.py",
    "tidegate.lab.vcenter_front": "real/test_vcenter_front.py",
    "tidegate.lab.vcenter_front_calls": "real/test_vcenter_front.py",
    "tidegate.lab.vcenter_front_collectors": "real/test_vcenter_front.py",
    "tidegate.lab.vcenter_front_hosts": "real/test_vcenter_front.py",
    "tidegate.lab.vcenter_front_rest": "real/test_vcenter_front.py",
    "tidegate.lab.vcenter_front_simulator": "real/test_vcenter_front.py",
    "tidegate.lab.vcenter_front_vcsim": "real/test_vcenter_front.py",
    "tidegate.lab.watch_report": "cli/test_demo_watch.py",
    "tidegate.watch.caller_finding": "cli/test_diagnose.py",
    "tidegate.watch.rule_words": "cli/test_rules.py",
    "tidegate.watch.live.office": "storm/test_watch_process.py",
    "tidegate.watch.live.receivers": "storm/test_watch_process.py",
    "tidegate.watch.live.runner": "storm/test_watch_process.py",
    "tidegate.watch.live.sources": "storm/test_watch_process.py",
    "tidegate.watch.live.store_sql": "unit/test_watch_store.py",
    "tidegate.watch.probes": "cli/test_diagnose.py",
    "tidegate.watch.version_gate": "unit/test_watch_findings.py",
    "tidegate.watch.fields": "unit/test_watch_load.py",
    "tidegate.watch.scan": "unit/test_watch_selftest.py",
    "tidegate.watch.live.syslog_intake": "unit/test_live_syslog.py",
    "tidegate.watch.live.syslog_streams": "unit/test_live_syslog.py",
    "tidegate.watch.live.syslog_udp": "unit/test_live_syslog.py",
}
MODULES = sorted(
    ".".join(path.relative_to(SOURCE).with_suffix("").parts)
    for path in SOURCE.rglob("*.py")
    if path.name != "__init__.py"
)


@pytest.mark.parametrize("module", MODULES)
def test_module_is_tested(module: str) -> None:
    if module in THROUGH:
        assert (TESTS / THROUGH[module]).exists()
        return
    package, _, name = module.rpartition(".")
    whole = rf"from {re.escape(module)} import|import {re.escape(module)}\b"
    imported = re.compile(rf"^\s*(?:{whole}|from {re.escape(package)} import .*\b{name}\b)", re.MULTILINE)
    assert any(imported.search(path.read_text()) for path in TESTS.rglob("*.py") if "contract" not in path.parts)
