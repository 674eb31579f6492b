"""The rules of the API as structs, pure functions and transition tables. No I/O."""
