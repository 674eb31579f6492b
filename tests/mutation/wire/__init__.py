"""Wrong answers for the contract kit: `python -m tests.mutation.wire` measures how many of them it notices.

A mutant changes one thing of one call whenever it is called: a member of the answer, an error, a status, a header, an
event of a stream, or a member of the request as the server reads it. The mutants are not chosen by hand: a first run of
the kit records what goes over the wire, and `changes` says what a developer can get wrong about a value of that kind. A
seed draws the sample, so a new seed gives mutants that the cases were never written for.

What is not counted, by rule:

- A mutant that changed no answer while the cases ran: it is equivalent as far as the kit can see. Of requests that is
  the comparison of all answers of a case with those of the first run, without ids, times and the names of the run.
- Headers that only this emulator sends (`x-emulator-*`) and those of the HTTP library (`content-length`).
- Members of the requests of forms, and messages of more than 300 kB.

Every case that met the call in the first run is a chance to notice the mutant; the quickest run first, and the first
failure ends it.
"""
