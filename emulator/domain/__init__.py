"""What the API allows and what follows from it: dataclasses, pure functions, transition tables. No I/O."""
