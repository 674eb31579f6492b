"""The pipeline between the transports and the operations.

For each request REST and gRPC `begin` a `Call`, and `perform` passes it through ordered middlewares to its operation:
those `BEFORE_DECODING` know the call alone, those `AFTER_DECODING` get its request as well. Both lists are in
`perform.py`; each middleware is a module of `middleware/`.

Guarantees:

- Both transports get the same checks in the same order.
- `perform` returns a result or raises one of three: ApiError (a refusal; a defect is one of Kind.INTERNAL), CallerGone
  (the client disconnected; Dropped if a planned fault reset the connection), asyncio.CancelledError.
- Each call has one journal entry with an outcome: "ok", the kind of the refusal, "CANCELLED" or "DROPPED"; "CUT" if a
  planned fault ends a download midway. Internal calls (`x-emulator-internal`) have none.
- A planned fault is counted, and learns the outcome, for every call that it matches, refused or not.

Invariants:

- A `Call` is complete when it begins: it has its team, its time, its caller and its journal entry. The middlewares add
  warnings, and the faults that affected the call.
- The decoded request is an argument and no field of the call: what runs before `decode` cannot ask for it.
- `Call.principal` is the caller that the key identifies. Only the operation, which runs after `authenticate`, reads it.
- The request is decoded once, by `decode`, because the body may be a stream. So an unauthenticated upload is refused
  before its body is read. Operations with `decode_first` decode before they authenticate, as the real service does.
- There is no await between `check_limits` and the operation, so an operation starts with the limits that were checked.

Why lists of functions: the order of the checks is part of the contract that is emulated, so it has to be readable in
one place. A middleware that has nothing to do for a call returns the awaitable of `call_next` itself, so that it costs
a function call and no coroutine.
"""
