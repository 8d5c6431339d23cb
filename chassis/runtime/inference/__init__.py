"""The Open Inference Protocol (v2) over HTTP and gRPC: tensors to items, answers to tensors."""
