"""What the API allows and what follows from it: structs, pure functions, transition tables. No I/O."""
