"""The lines that tell who calls vCenter, as tallies of the scan plan: logins, logouts, calls, sessions, requests.

Each form below names the public text that shows it. Sessions that vCenter opens for itself are counted like all others.
Repetitions are open-ended: a linear engine does not mind, and counted ones compile to far more; names are cut later.
"""

from __future__ import annotations

from typing import Any

__all__ = ["LOGIN_OPERATIONS", "TALLIES"]

# A user name may hold "@" (administrator@vsphere.local@10.0.0.1), an address never does: the last one divides the two.
_WHO = r"\bUser (?P<user>[^\n\[\]]+?)@(?P<ip>[^\s@\[\]()]+)"
# Method and the first two parts of the path: `/sdk`, `/api/session`, `/rest/com`. Names of objects come later.
_REQUEST = r"(?P<op>[A-Z]{3,10} /[^/\s\x22?]*(?:/[^/\s\x22?]*)?)[^\s\x22]* HTTP/[0-9.]{1,3}"

TALLIES: tuple[dict[str, Any], ...] = (
    # `Event [575792] [1-1] [2021-09-06T14:40:13.26309Z] [vim.event.UserLoginSessionEvent] [info]
    # [VSPHERE.LOCAL\Administrator] [] [575792] [User VSPHERE.LOCAL\Administrator@10.100.10.190 logged in as
    # Go-http-client/1.1]`: github.com/elastic/integrations, packages/vsphere/data_stream/log/_dev/test/pipeline/
    # test-format-common.log. hostd writes the same sentence after `Event 5 : `. That vpxd.log has them too:
    # knowledge.broadcom.com/external/article/437427
    {
        "id": "caller/login",
        "literals": [" logged in as "],
        "regex": _WHO + r" logged in as (?P<agent>[^\]\n]+)",
        "key": ["user", "ip", "agent"],
        "by": None,
    },
    # `[User VSPHERE.LOCAL\Administrator@10.100.10.190 logged out (login time: Monday, 06 September, 2021 02:40:13 PM,
    # number of API invocations: 3, user agent: Go-http-client/1.1)]`: the same file. It is also written when an idle
    # session ends (vim.event.UserLogoutSessionEvent: "user logoff, disconnection, or session timeout").
    {
        "id": "caller/logout",
        "literals": [" logged out (login time"],
        "regex": _WHO
        + r" logged out \(login time:? [^()\n]+?, number of API invocations: (?P<calls>[0-9]+)"
        + r"(?P<agent>[^\]\n]*)\)",
        "key": ["user", "ip", "agent"],
        "by": "calls",
    },
    # `{"user":"…","client":"…",…,"description":"User <account>@<address> failed to log in with response code 401",…}`:
    # /var/log/audit/sso-events/audit_events.log, knowledge.broadcom.com/external/article/423205
    {
        "id": "caller/failed-login",
        "literals": [" failed to log in with response code "],
        "regex": _WHO + r" failed to log in with response code [0-9]{3}",
        "key": ["user", "ip"],
        "by": None,
    },
    # `--> /SessionStats/SessionPool/Session/Id='…'/Username='…'/ClientIP='…'/…`: vpxd-profiler-*.log,
    # knowledge.broadcom.com/external/article/440848. Nothing else public joins a session to a user and an address.
    {
        "id": "caller/session",
        "literals": ["/SessionStats/SessionPool/Session/Id="],
        "regex": r"/SessionStats/SessionPool/Session/Id='(?P<session>[^'\n]+)'"
        r"/Username='(?P<user>[^'\n]+)'/ClientIP='(?P<ip>[^'\n]*)'",
        "key": ["session", "user", "ip"],
        "by": None,
        # One record lists all sessions. Only the keys are used: how often one is met does not matter.
        "every": True,
    },
    # `[VpxLRO] -- BEGIN lro-210450 -- ViewManager -- vim.view.ViewManager.createContainerView -- <id>(<id>)`:
    # github.com/kubernetes-sigs/cluster-api-provider-vsphere/issues/660. Older lines have an empty entity (`-- --`) and
    # one id. Only vim and vmodl: a host's vpxa writes the same form for vCenter's own calls (`vpxapi.…`).
    {
        "id": "caller/call",
        "literals": ["[VpxLRO] -- BEGIN "],
        "regex": r"\[VpxLRO\] -- BEGIN \S+ -- (?:[^\n]*? )?-- (?P<op>(?:vim|vmodl)\.[A-Za-z0-9_.]+)"
        r" -- (?P<session>[0-9A-Fa-f-]{32,36}(?:\([0-9A-Fa-f-]{32,36}\))?)",
        "key": ["session"],
        "by": "op",
    },
    # The same lines by operation: sessions may be more than the scan keeps keys for, operations are a few hundred.
    {
        "id": "caller/operation",
        "literals": ["[VpxLRO] -- BEGIN "],
        "regex": r"\[VpxLRO\] -- BEGIN \S+ -- (?:[^\n]*? )?-- (?P<op>[A-Za-z][A-Za-z0-9_.]+)(?:\s|$)",
        "key": ["op"],
        "by": None,
    },
    # How calls ended; `-- FINISH lro-210450` names the call by its number only.
    {
        "id": "caller/ended",
        "literals": ["[VpxLRO] -- FINISH ", "[VpxLRO] -- ERROR "],
        "regex": r"\[VpxLRO\] -- (?P<how>FINISH|ERROR) ",
        "key": ["how"],
        "by": None,
    },
    # Envoy's default format: `[…] "POST /api/v1/locations HTTP/2" 204 - 154 0 226 100 "10.0.35.28" "nsq2http" "…" …`,
    # www.envoyproxy.io/docs/envoy/latest/configuration/observability/access_log/usage. The first quoted pair after the
    # numbers is X-Forwarded-For and user agent. Other proxies' combined format has fewer numbers and does not match.
    {
        "id": "caller/request",
        "literals": [' HTTP/1.1" ', ' HTTP/1.0" ', *(f' HTTP/2" {digit}' for digit in "012345")],
        "regex": r"\x22"
        + _REQUEST
        + r"\x22 [0-9]{1,3} (?:\S+ ){4,12}?\x22(?P<ip>[^\x22\n]+)\x22 \x22(?P<agent>[^\x22\n]*)\x22 \x22",
        "key": ["ip", "agent"],
        "by": "op",
    },
    # VMware's own format of Envoy's access log has no public description. Samples show
    # `envoy-access[525191]: GET /screen?id=… HTTP/2 200 via_upstream - …`; the first address with a port after that is
    # taken for the client's, and no user agent is there.
    {
        "id": "caller/request-vmware",
        "literals": [" via_upstream "],
        "regex": r"(?:^|\s)"
        + _REQUEST
        + r" [0-9]{3} via_upstream (?:\S+ ){0,12}?"
        + r"(?P<ip>[0-9]{1,3}(?:\.[0-9]{1,3}){3}|\[[0-9A-Fa-f:.]{2,45}\]):[0-9]{1,5}(?:\s|$)",
        "key": ["ip"],
        "by": "op",
    },
)

LOGIN_OPERATIONS = frozenset(
    f"vim.SessionManager.{name}"
    for name in (
        "login",
        "loginBySSPI",
        "loginByToken",
        "loginExtensionByCertificate",
        "loginExtensionBySubjectName",
        "cloneSession",
    )
)
"""Calls that open a session (vSphere Web Services API, SessionManager), for logs that have no login events."""
