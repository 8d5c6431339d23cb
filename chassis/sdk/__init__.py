"""ChassisModel and ChassisClient, as a notebook uses them; `import chassis` gives their names."""
