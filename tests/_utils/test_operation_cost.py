from __future__ import annotations

import torch

from autosurrogate._utils.operation_cost import CALL_S, NUMBER_S, PRODUCT_S, OperationCost


def test_calls_numbers_and_products_are_counted() -> None:
    a, b = torch.ones(20, 30), torch.ones(30, 40)
    with OperationCost() as cost:
        a @ b
    assert cost.seconds == CALL_S + 20 * 40 * NUMBER_S["cpu"] + 20 * 40 * 30 * PRODUCT_S["cpu"]


def test_a_view_writes_nothing() -> None:
    a = torch.ones(1000, 1000)
    with OperationCost() as cost:
        a.view(-1)
    assert cost.seconds == CALL_S


def test_the_backward_pass_counts() -> None:
    x = torch.ones(1000, requires_grad=True)
    with OperationCost() as forward:
        y = x.exp().sum()
    with OperationCost() as backward:
        torch.autograd.grad(y, x)
    assert backward.seconds > 1000 * NUMBER_S["cpu"]
    assert forward.seconds > 1000 * NUMBER_S["cpu"]


def test_it_is_the_same_again() -> None:
    def cost() -> float:
        x = torch.rand(50, 50, requires_grad=True)
        with OperationCost() as counted:
            torch.autograd.grad((x @ x).softmax(1).square().sum(), x)
        return counted.seconds

    assert cost() == cost() > 0
