"""What of uvicorn is used here without being its public interface."""

import pytest

from emulator.port import uvicorn_names
from emulator.port.uvicorn_names import NAMES, UnsupportedUvicorn, check_uvicorn
from tests.port.harness import App, on_each_loop, running


@pytest.mark.parametrize("owner", NAMES, ids=lambda owner: owner.__name__)
def test_missing_uvicorn_name_is_one_sentence(owner: type, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each class is looked at, and the sentence names the class, what it lacks, and what to do."""
    check_uvicorn()
    monkeypatch.setitem(NAMES, owner, f"{NAMES[owner]} renamed")
    with pytest.raises(UnsupportedUvicorn, match=rf"its {owner.__name__} has no renamed; install an older one"):
        check_uvicorn()


@on_each_loop
async def test_port_does_not_start_with_an_unknown_uvicorn(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(uvicorn_names, "NAMES", {App: "renamed"})
    with pytest.raises(UnsupportedUvicorn):
        async with running(App()):
            pass
