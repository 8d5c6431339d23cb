"""Writes a classifier of irises as a program of torch.export, and as one of TorchScript."""

import sys

import torch
from torch.export import Dim, export, save

layer = torch.nn.Linear(4, 3)
weights = [[-0.42, 0.97, -2.52, -1.08], [0.53, -0.32, -0.2, -0.94], [-0.11, -0.65, 2.72, 2.02]]
layer.weight = torch.nn.Parameter(torch.tensor(weights))
layer.bias = torch.nn.Parameter(torch.tensor([9.84, 2.22, -12.06]))
flowers = (torch.zeros(2, 4),)
save(export(layer.eval(), flowers, dynamic_shapes=({0: Dim.AUTO},)), sys.argv[1])
torch.jit.trace(layer, flowers).save(sys.argv[2])
