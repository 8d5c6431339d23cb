def predict(content: bytes) -> dict:
    return {}
