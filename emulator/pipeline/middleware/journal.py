"""Record the outcome of a call in the journal."""

from __future__ import annotations

import asyncio
from typing import Any

from emulator.core.errors import ApiError, CallerGone
from emulator.operations.base import Call
from emulator.pipeline.middleware import Next
from emulator.pipeline.outcomes import outcome_of, refusal_of
from emulator.state.services import Services


async def record(call_next: Next, services: Services, call: Call) -> Any:
    """End the entry of a call with its outcome; complete it if there will be no response.

    Raises ApiError in place of any other error, so that an entry and its response agree.
    """
    entry = call.entry
    try:
        return await call_next(services, call)
    except ApiError as error:
        entry.refused(error)
        raise
    except (CallerGone, asyncio.CancelledError) as error:
        entry.end(outcome_of(error))
        services.journal.replied(call, None, None)
        raise
    except Exception as error:
        refusal = refusal_of(call, error)
        entry.refused(refusal)
        raise refusal from error
    finally:
        entry.end()
