"""What the doctor reads of the wheels with native code that are taken most, recorded."""
