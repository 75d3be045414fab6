from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from autosurrogate.surrogates._layers import Linear, Perceptron, bounded, calmed, has_target, matmul


def randn(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("dtype", [torch.uint8, torch.int8, torch.int16, torch.int32, torch.int64])
def test_minus_100_alone_is_no_target(dtype: torch.dtype) -> None:
    values = [0, 1, 100, 127] + ([156] if dtype not in (torch.int8,) else [])
    assert has_target(torch.tensor(values, dtype=dtype)).all()
    if dtype != torch.uint8:
        assert has_target(torch.tensor([-100, -1, 5], dtype=dtype)).tolist() == [False, True, True]


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
def test_logits_become_finite_float32(dtype: torch.dtype) -> None:
    found = bounded(torch.tensor([float("inf"), -float("inf"), 1.5], dtype=dtype))
    assert found.dtype == torch.float32
    assert found.tolist() == [1e4, -1e4, 1.5]


def test_infinite_logits_have_zero_and_finite_ones_whole_gradients() -> None:
    logits = torch.tensor([-float("inf"), 2.0, float("inf")], requires_grad=True)
    bounded(logits).sum().backward()
    assert logits.grad is not None
    assert logits.grad.tolist() == [0, 1, 0]


@pytest.mark.parametrize("shapes", [((3, 4), (4, 2)), ((5, 3, 4), (5, 4, 2)), ((5, 3, 4), (4, 2))])
@pytest.mark.parametrize("scripted", [False, True])
@pytest.mark.filterwarnings("ignore:.*torch.jit:DeprecationWarning")
def test_a_product_keeps_its_dtype_and_precision_under_autocast(
    shapes: tuple[tuple[int, ...], tuple[int, ...]], scripted: bool
) -> None:
    a, b = randn(*shapes[0]), randn(*shapes[1], seed=1)
    function = torch.jit.script(matmul) if scripted else matmul  # type: ignore[no-untyped-call]
    with torch.autocast("cpu", torch.bfloat16):
        found = function(a, b)
        assert torch.matmul(a, b).dtype == torch.bfloat16  # what it is there to avoid
    torch.testing.assert_close(found, torch.matmul(a, b), atol=1e-5, rtol=1e-5)


def test_a_linear_layer_is_torch_s_and_takes_the_dtype_of_its_input() -> None:
    layer, input = Linear(4, 3), randn(5, 4)
    expected = nn.functional.linear(input, layer.weight, layer.bias)
    torch.testing.assert_close(layer(input), expected)
    with torch.autocast("cpu", torch.bfloat16):
        torch.testing.assert_close(layer(input), expected)
    torch.testing.assert_close(layer.half()(input), expected, atol=1e-2, rtol=1e-2)
    assert layer(input).dtype == torch.float32


def test_a_perceptron_has_the_layers_it_is_told_and_smooth_gradients() -> None:
    network = Perceptron(3, 7, 2, 4).double()
    assert [tuple(p.shape) for p in network.parameters()] == [(7, 3), (7,), (7, 7), (7,), (4, 7), (4,)]
    input = randn(2, 3).double().requires_grad_()
    assert torch.autograd.gradgradcheck(network, (input,))


def test_numbers_close_together_have_the_gradient_of_numbers_spread_by_one() -> None:
    shape = torch.randn(3, 8, generator=torch.Generator().manual_seed(0))
    gradients = []
    for scale in (0.01, 1.0, 5.0):
        numbers = (scale * shape).requires_grad_(True)
        spread = numbers.std(1, keepdim=True)
        calm = calmed(numbers / spread, spread / shape.std(1, keepdim=True))
        assert torch.allclose(calm, shape / shape.std(1, keepdim=True), atol=1e-6)
        gradients.append(torch.autograd.grad(calm.square().square().sum(), numbers)[0])
    assert torch.allclose(gradients[0], gradients[1], atol=1e-4)
    assert torch.allclose(gradients[2], gradients[1] / 5, atol=1e-4)
