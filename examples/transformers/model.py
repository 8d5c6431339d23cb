"""Says of a text whether it is good or bad, with the tokenizer, labels and network of one directory."""

import onnxruntime
from transformers import AutoConfig, AutoTokenizer

import chassis


def load():
    directory = chassis.data_path("classifier")
    session = onnxruntime.InferenceSession(directory / "model.onnx")
    return AutoTokenizer.from_pretrained(directory), AutoConfig.from_pretrained(directory).id2label, session


def classify(loaded, text: str) -> dict[str, float]:
    tokenizer, labels, session = loaded
    tokens = tokenizer(text, truncation=True, max_length=128, return_tensors="np")
    (row,) = session.run(["probabilities"], {"input_ids": tokens["input_ids"]})[0]
    return {labels[index]: float(probability) for index, probability in enumerate(row)}
