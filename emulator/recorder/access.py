"""Access control of the recorder: without it, the open port would give others access to the account of the real key.

- It listens on loopback. Any other host needs `--own-keys`, which never inserts the real key.
- The real key is inserted only in place of a key of this run, which the command gets, or which is printed once. Any
  other key, and no key, is forwarded unchanged: the service refuses it as it would without the recorder.
- A Host that is not of this machine (DNS rebinding) and every Origin, which only pages of browsers send, are refused:
  the real service lets all pages call it, so its CORS headers protect no user here.
"""

from __future__ import annotations

import msgspec

from emulator.core import ids
from emulator.domain.keys import INFERENCE_PREFIX, MANAGEMENT_PREFIX, Plane, bearer
from emulator.pipeline.origin_check import OriginCheck
from emulator.rpc.connections import LastSeen

LABELS = {Plane.INFERENCE: "[inference key]", Plane.MANAGEMENT: "[management key]"}
_NAMES = {Plane.INFERENCE: "XAI_API_KEY", Plane.MANAGEMENT: "XAI_MANAGEMENT_KEY"}


class Refused(Exception):
    """A call is not forwarded; with the HTTP status, the gRPC status, and one sentence."""

    def __init__(self, status: int, code: str, message: str) -> None:
        super().__init__(message)
        self.status, self.code, self.message = status, code, message


class Keys:
    """The keys of one run: those that clients send, and the real ones that replace them."""

    def __init__(self, real: dict[Plane, str], *, own: bool = False) -> None:
        """`real` are the keys of the environment; with `own` they are not used."""
        noise = ids.fresh_name()
        self.of_run = {
            Plane.INFERENCE: f"{INFERENCE_PREFIX}run-{noise}",
            Plane.MANAGEMENT: f"{MANAGEMENT_PREFIX}run-{noise}",
        }
        self._real, self._own = ({} if own else real), own
        self._planes = {key: plane for plane, key in self.of_run.items()}
        self._last = LastSeen()

    @property
    def labels(self) -> dict[str, str]:
        """Return the label of each key in a recording."""
        return {key: LABELS[plane] for keys in (self.of_run, self._real) for plane, key in keys.items()}

    def put_in(self, authorization: str | None) -> str | None:
        """Return the Authorization to forward for the received one. Raises Refused if this run lacks that key."""
        plane = self._planes.get(bearer(authorization) or "")
        if plane is None:
            return authorization
        key = self._real.get(plane)
        if key is None:
            why = "the clients send their own keys (--own-keys)" if self._own else f"{_NAMES[plane]} was not set"
            raise Refused(401, "UNAUTHENTICATED", f"xai-emulator record has no {plane.value} key: {why}.")
        return f"Bearer {key}"

    def on_connection(self, peer: str, authorization: str | None) -> str | None:
        """Return the Authorization of a gRPC call, or that last seen on its connection: xai-sdk uploads without one."""
        if authorization is None:
            return self._last.get(peer)
        self._last.note(peer, authorization)
        return authorization


class Access(msgspec.Struct, frozen=True):
    """The host names that the recorder accepts."""

    check: OriginCheck

    @classmethod
    def of(cls, host: str) -> Access:
        """Return the check for a recorder that listens on a host."""
        return cls(OriginCheck(host.lower(), frozenset(), "off"))

    def admit(self, host: str | None, origin: str | None) -> None:
        """Raise Refused for a call from a page of a browser, or to a name that may be rebound."""
        if origin is not None:
            raise Refused(
                403, "PERMISSION_DENIED", "xai-emulator record refuses calls of web pages, because it has real keys."
            )
        if self.check.control_refusal(host, None) is not None:
            raise Refused(403, "PERMISSION_DENIED", "xai-emulator record does not answer to this host name.")
