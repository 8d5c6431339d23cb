"""Makes a classifier of texts from its configuration, with random weights, in a directory as transformers saves one."""

import sys
from pathlib import Path

import numpy as np
from onnx import numpy_helper, parser
from transformers import BertConfig, BertTokenizer

vocabulary = "[PAD] [UNK] [CLS] [SEP] the film is was a good bad very not ##s ##ly"
words = {word: index for index, word in enumerate(vocabulary.split())}
config = BertConfig(vocab_size=len(words), hidden_size=16, id2label={0: "bad", 1: "good"})
config.save_pretrained(sys.argv[1])
BertTokenizer(vocab=words).save_pretrained(sys.argv[1])
model = parser.parse_model("""
    <ir_version: 9, opset_import: ["": 17]>
    classifier (int64[batch, length] input_ids) => (float[batch, labels] probabilities) {
        embedded = Gather (words, input_ids)
        mean = ReduceMean <axes = [1], keepdims = 0> (embedded)
        logits = MatMul (mean, head)
        probabilities = Softmax (logits)
    }
""")
random = np.random.default_rng(1)
sizes = {"words": (config.vocab_size, config.hidden_size), "head": (config.hidden_size, config.num_labels)}
for name, size in sizes.items():
    model.graph.initializer.append(numpy_helper.from_array(random.normal(size=size).astype("f4"), name))
Path(sys.argv[1], "model.onnx").write_bytes(model.SerializeToString())
