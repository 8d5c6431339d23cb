"""How programs of Chassis start and end, and the flags that several of them have."""
