"""Sparsity stays where it is wanted while everything else moves."""

import copy
import os
import pickle
import socket

import pytest
import torch
from torch import nn

import clipact as ca
from clipact import sparsity
from clipact.errors import ScheduleError, SelectionError, SparsityError


def net(activation=None, width=256):
    torch.manual_seed(0)
    make = activation or (lambda: ca.nn.CReLU(1.0, 1.0))
    return nn.Sequential(
        nn.Linear(16, width), make(), nn.Linear(width, width), make(), nn.Linear(width, 10)
    )


def drifting(model, controller, steps, start=0):
    """A training in which the data grow and move from step to step, at a learning rate that moves the weights."""
    optimizer = torch.optim.SGD(model.parameters(), lr=0.03, momentum=0.9)
    generator = torch.Generator().manual_seed(1)
    teacher = torch.randn(16, 10, generator=generator)
    for step in range(start + steps):
        x = torch.randn(128, 16, generator=generator) * (1 + step / 400) + step / 800
        if step < start:
            continue
        loss = nn.functional.cross_entropy(model(x), (x @ teacher).argmax(1))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        controller.step()


def measured(model, x):
    """Share of zeros by site."""
    with torch.no_grad(), sparsity.SparsityMeter(model) as meter:
        model(x)
    return {row.name: row.sparsity for row in meter.table()}


@pytest.mark.parametrize(
    "make",
    [
        lambda: ca.nn.CReLU(1.0, 1.0),
        lambda: ca.nn.CST(0.1, 2.0),
        lambda: ca.nn.ShiftedReLU(0.0),
        lambda: ca.nn.SoftThreshold(3.0),
        lambda: ca.nn.ShiftedReLU(torch.zeros(256)),
    ],
    ids=["CReLU", "CST", "ShiftedReLU", "SoftThreshold", "by feature"],
)
def test_a_drifting_training_keeps_its_sparsity(make):
    model, shares = net(make), []
    with sparsity.hold_sparsity(model, 0.85) as controller:
        drifting(model, controller, 100)
        for start in (100, 120, 140, 160):
            drifting(model, controller, 20, start=start)
            shares.append(list(controller.sparsity.values()))
    assert torch.tensor(shares).sub(0.85).abs().max() < 0.01


def test_without_it_the_sparsity_drifts_away():
    model = net()
    with sparsity.hold_sparsity(model, 0.85, rate=1e-9) as controller:
        drifting(model, controller, 150)
        assert max(abs(value - 0.85) for value in controller.sparsity.values()) > 0.05


def test_each_channel_has_its_own():
    torch.manual_seed(0)
    model = nn.Sequential(nn.Conv2d(2, 8, 3), ca.nn.ShiftedReLU(torch.zeros(8, 1, 1)))
    model[0].bias.data = torch.linspace(-2, 2, 8)
    with sparsity.hold_sparsity(model, 0.7) as controller:
        for _ in range(200):
            model(torch.randn(16, 2, 12, 12))
            controller.step()
    shares = (model(torch.randn(256, 2, 12, 12)) == 0).float().mean((0, 2, 3))
    assert (shares[4:] - 0.7).abs().max() < 0.02  # the others would need a tau below 0


def test_a_global_budget_is_of_all_values_together():
    model = net(lambda: ca.nn.ShiftedReLU(0.0))
    with torch.no_grad():
        model[0].bias.fill_(0.8)
    x = torch.randn(512, 16)
    with sparsity.hold_sparsity(model, 0.85, budget="global") as controller:
        for _ in range(200):
            model(x)
            controller.step()
    shares = measured(model, x)
    assert (shares["1"] + shares["3"]) / 2 == pytest.approx(0.85, abs=0.002)
    assert abs(shares["1"] - shares["3"]) > 0.02


def held_globally(model, x, target=0.85, steps=200):
    with sparsity.hold_sparsity(model, target, budget="global") as controller:
        for _ in range(steps):
            model(x)
            controller.step()
    return controller


def test_a_global_budget_weighs_layers_by_their_values():
    torch.manual_seed(0)
    model = nn.Sequential(
        nn.Linear(16, 512), ca.nn.ShiftedReLU(0.0), nn.Linear(512, 32), ca.nn.ShiftedReLU(0.0)
    )
    with torch.no_grad():
        model[2].bias.fill_(1.0)  # the small layer gives few zeros at first
    x = torch.randn(512, 16)
    held_globally(model, x)
    shares = measured(model, x)
    assert (512 * shares["1"] + 32 * shares["3"]) / 544 == pytest.approx(0.85, abs=0.002)
    assert shares["1"] - shares["3"] > 0.1


def test_a_global_budget_leaves_channels_their_own():
    torch.manual_seed(0)
    model = nn.Sequential(nn.Conv2d(2, 8, 3), ca.nn.ShiftedReLU(torch.zeros(8, 1, 1)))
    model[0].bias.data = torch.linspace(-1, 1, 8)
    x = torch.randn(32, 2, 12, 12)
    held_globally(model, x, 0.7)
    shares = (model(x) == 0).float().mean((0, 2, 3))
    assert shares.mean().item() == pytest.approx(0.7, abs=0.005)
    assert (shares.max() - shares.min()).item() > 0.2
    assert model[1].tau.unique().numel() == 8


def test_a_global_budget_does_not_move_what_has_not_run():
    model = net(lambda: ca.nn.ShiftedReLU(0.0))
    x = torch.randn(512, 16)
    with sparsity.hold_sparsity(model, 0.85, budget="global") as controller:
        model(x)
        controller.step()
        model[3].eval()
        taus = [model[1].tau.item(), model[3].tau.item()]
        model(x)
        controller.step()
    assert model[1].tau.item() > taus[0]
    assert model[3].tau.item() == taus[1]


def test_a_schedule_raises_it_step_by_step():
    model = net(lambda: ca.nn.ShiftedReLU(0.0))
    schedule = ca.schedules.linear(0.5, 0.9, steps=100)
    with sparsity.hold_sparsity(model, schedule, rate=0.3) as controller:
        x = torch.randn(512, 16)
        found = []
        for _ in range(160):
            model(x)
            controller.step()
            found.append(measured(model, x)["1"])
    assert found[0] < 0.6
    assert found[50] == pytest.approx(0.7, abs=0.03)
    assert found[-1] == pytest.approx(0.9, abs=0.01)


def test_a_dead_layer_comes_back():
    model = net(lambda: ca.nn.CReLU(5.0, 1.0))
    with sparsity.hold_sparsity(model, 0.9) as controller:
        x = torch.randn(256, 16)
        for _ in range(300):
            model(x)
            controller.step()
    assert measured(model, x)["1"] == pytest.approx(0.9, abs=0.01)


@pytest.mark.parametrize("budget", ["layer", "global"])
def test_a_resumed_training_has_the_same_bits(budget):
    whole, halves = net(), net()
    with sparsity.hold_sparsity(whole, 0.85, budget=budget) as controller:
        drifting(whole, controller, 20)
        drifting(whole, controller, 20, start=20)
    with sparsity.hold_sparsity(halves, 0.85, budget=budget) as controller:
        drifting(halves, controller, 20)
        state = copy.deepcopy((halves.state_dict(), controller.state_dict()))
    other = net()
    other.load_state_dict(state[0])
    with sparsity.hold_sparsity(other, 0.85, budget=budget) as controller:
        controller.load_state_dict(state[1])
        drifting(other, controller, 20, start=20)
    assert all(
        torch.equal(a, b)
        for a, b in zip(whole.state_dict().values(), other.state_dict().values(), strict=True)
    )


def test_a_state_in_the_middle_of_a_step_goes_through_a_file(tmp_path):
    model = net()
    with sparsity.hold_sparsity(model, 0.85) as controller:
        model(torch.randn(8, 16))
        torch.save(controller.state_dict(), tmp_path / "state.pt")
        controller.step()
        after = model[1].tau.clone()
    other = net()
    with sparsity.hold_sparsity(other, 0.85) as controller:
        controller.load_state_dict(torch.load(tmp_path / "state.pt", weights_only=True))
        controller.step()
    assert torch.equal(other[1].tau, after)


def test_evaluation_and_steps_without_data_move_nothing():
    model = net().eval()
    with sparsity.hold_sparsity(model, 0.85) as controller:
        model(torch.randn(8, 16))
        controller.step()
        assert controller.steps == 1
    assert model[1].tau.item() == 1.0


def test_what_is_not_finite_moves_nothing():
    model = nn.Sequential(ca.nn.ShiftedReLU(1.0))
    with sparsity.hold_sparsity(model, 0.85) as controller:
        model(torch.full((8, 4), float("nan")))
        controller.step()
    assert model[0].tau.item() == 1.0


def test_several_forwards_before_a_backward():
    """tau must not move between a forward and its backward."""
    model = net()
    with sparsity.hold_sparsity(model, 0.85) as controller:
        (model(torch.randn(8, 16)) + model(torch.randn(8, 16))).sum().backward()
        controller.step()
    assert model[1].tau.item() != 1.0


def test_nothing_waits_for_the_device():
    """Values cannot be read on the meta device: reading one would raise."""
    with torch.device("meta"):
        model = net()
    with sparsity.hold_sparsity(model, 0.85) as controller:
        for _ in range(2):
            model(torch.randn(8, 16, device="meta")).sum().backward()
            controller.step()


def test_the_model_may_be_moved_later():
    with torch.device("meta"):
        model = net()
    with sparsity.hold_sparsity(model, 0.85) as controller:
        model.to_empty(device="cpu")
        model.load_state_dict(net().state_dict())
        controller.load_state_dict(sparsity.hold_sparsity(net(), 0.85).state_dict())
        model(torch.randn(8, 16))
        controller.step()
        assert model[1].tau.item() != 1.0


def test_attached_to_an_optimizer_it_steps_by_itself():
    model = net()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
    with sparsity.hold_sparsity(model, 0.85).attach(optimizer) as controller:
        for _ in range(3):
            model(torch.randn(8, 16)).sum().backward()
            optimizer.step()
    assert controller.steps == 3
    optimizer.step()
    assert controller.steps == 3


def test_closing_takes_the_hooks_off():
    model = net()
    controller = sparsity.hold_sparsity(model, 0.85)
    assert len(model[1]._forward_hooks) == 1
    controller.close()
    assert not any(module._forward_hooks for module in model.modules())


def test_copies_are_not_held_and_the_original_still_is():
    model, x = net(), torch.randn(64, 16)
    with sparsity.hold_sparsity(model, 0.85) as controller:
        model(x)
        for copied in (copy.deepcopy(model), pickle.loads(pickle.dumps(model))):
            copied(x)
            with sparsity.hold_sparsity(copied, 0.5) as other:
                copied(x)
                other.step()
            assert copied[1].tau.item() < 1.0
        before = controller.state_dict()["sites"]["1"]["values"]
        assert before == 64 * 256
        controller.step()
    assert model[1].tau.item() != 1.0


def test_a_model_copied_with_its_controller_is_held_by_the_copy():
    model, x = net(), torch.randn(64, 16)
    with sparsity.hold_sparsity(model, 0.85) as controller:
        pair = (model, controller)
        for copied, other in (copy.deepcopy(pair), pickle.loads(pickle.dumps(pair))):
            copied(x)
            other.step()
            assert copied[1].tau.item() != 1.0
            other.close()
            assert not copied[1]._forward_hooks
        assert model[1].tau.item() == 1.0
        assert controller.state_dict()["sites"]["1"]["values"] == 0


@pytest.mark.parametrize("threshold", [torch.zeros(8), 0.0], ids=["by feature", "layer"])
@pytest.mark.parametrize("shape", [(8,), (1, 8), (4, 8), (2, 5, 8)], ids=str)
def test_whatever_the_number_of_cases(threshold, shape):
    model = nn.Sequential(ca.nn.ShiftedReLU(threshold))
    before = model[0].tau.clone()
    generator = torch.Generator().manual_seed(0)
    with sparsity.hold_sparsity(model, 0.9) as controller:
        for _ in range(3):
            model(torch.randn(shape, generator=generator))
            controller.step()
    values = torch.Size(shape).numel() // before.numel()
    assert torch.equal(model[0].tau, before) == (values == 1)  # a single value has no deviation
    assert model[0].tau.isfinite().all()


def test_a_large_image_without_a_batch():
    torch.manual_seed(0)
    model = nn.Sequential(ca.nn.ShiftedReLU(torch.zeros(4, 1, 1)))
    with sparsity.hold_sparsity(model, 0.8) as controller:
        for _ in range(60):
            model(torch.randn(4, 150, 150) * torch.tensor([1.0, 2, 3, 4]).reshape(4, 1, 1))
            controller.step()
    found = model[0].tau.detach().flatten() / torch.tensor([1.0, 2, 3, 4])
    torch.testing.assert_close(found, torch.full((4,), 0.8416), atol=0.03, rtol=0)


def test_many_neurons_have_a_deviation_each():
    """Of so many, one sample is more than enough values in all, and none of any neuron's deviation."""
    torch.manual_seed(0)
    model = nn.Sequential(ca.nn.ShiftedReLU(torch.zeros(70_000)))
    with sparsity.hold_sparsity(model, 0.8) as controller:
        for _ in range(2):
            model(torch.randn(32, 70_000))
            controller.step()
        assert controller.state_dict()["sites"]["0"]["deviation"].mean().item() > 0.9
    assert model[0].tau.mean().item() > 0.2


def test_an_input_passed_by_name():
    model = ca.nn.ShiftedReLU(0.0)
    with sparsity.hold_sparsity(model, 0.9) as controller:
        model(x=torch.randn(500))
        controller.step()
    assert model.tau.item() > 0.1


class TestOneController:
    def test_a_second_one_is_refused_until_the_first_is_closed(self):
        model = net()
        first = sparsity.hold_sparsity(model, 0.85)
        hooks = [dict(module._forward_hooks) for module in model.modules()]
        for budget in ("layer", "global"):
            with pytest.raises(ScheduleError, match=r"tau of 1, 3 is held already.*close\(\)"):
                sparsity.hold_sparsity(model, 0.5, budget=budget)
        assert [dict(module._forward_hooks) for module in model.modules()] == hooks
        first.close()
        with sparsity.hold_sparsity(model, 0.5) as second:
            assert list(second.sparsity) == ["1", "3"]

    def test_other_activations_are_free(self):
        model = net()
        with (
            sparsity.hold_sparsity(model, 0.85, where=ca.where.named("1")),
            sparsity.hold_sparsity(model, 0.5, where=ca.where.named("3")),
            pytest.raises(ScheduleError, match="tau of 1, 3 is held"),
        ):
            sparsity.hold_sparsity(model, 0.7)

    def test_an_exception_frees_it(self):
        model = net()
        with pytest.raises(KeyboardInterrupt), sparsity.hold_sparsity(model, 0.85):
            raise KeyboardInterrupt
        sparsity.hold_sparsity(model, 0.85).close()

    def test_one_that_nobody_has_any_more_is_in_nobodys_way(self):
        model = net()
        sparsity.hold_sparsity(model, 0.85)
        with sparsity.hold_sparsity(model, 0.5) as controller:
            model(torch.randn(64, 16))
            controller.step()
        assert model[1].tau.item() < 1.0

    def test_the_same_tau_in_another_module(self):
        model = net()
        model[3].tau = model[1].tau
        with pytest.raises(SparsityError, match="1 and 3 have one and the same tau"):
            sparsity.hold_sparsity(model, 0.5)
        with (
            sparsity.hold_sparsity(model, 0.5, where=ca.where.named("1")),
            pytest.raises(ScheduleError, match="tau of 3 is held already"),
        ):
            sparsity.hold_sparsity(model, 0.5, where=ca.where.named("3"))

    def test_a_closed_one_holds_nothing_more(self):
        model = net()
        controller = sparsity.hold_sparsity(model, 0.85)
        with controller:
            model(torch.randn(8, 16))
        controller.close()
        optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
        for use in (controller.__enter__, controller.step, lambda: controller.attach(optimizer)):
            with pytest.raises(ScheduleError, match="controller is closed; make another"):
                use()
        assert controller.steps == 0

    def test_one_optimizer_makes_its_steps(self):
        model = net()
        optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
        with sparsity.hold_sparsity(model, 0.85).attach(optimizer) as controller:
            with pytest.raises(ScheduleError, match="with an optimizer already"):
                controller.attach(optimizer)
            optimizer.step()
        assert controller.steps == 1


class TestRequests:
    @pytest.mark.parametrize("value", [0.0, 1.0, -0.1, 1.5, float("nan")])
    def test_sparsities_out_of_range(self, value):
        with pytest.raises(SparsityError, match="between 0 and 1"):
            sparsity.hold_sparsity(net(), value)
        with pytest.raises(SparsityError, match="at step 0"):
            sparsity.hold_sparsity(net(), lambda _: value)

    def test_rates_out_of_range(self):
        with pytest.raises(SparsityError, match="rate=0"):
            sparsity.hold_sparsity(net(), 0.5, rate=0)

    def test_a_tau_that_is_trained(self):
        model = net()
        model[1].tau.requires_grad_()
        with pytest.raises(ScheduleError, match="tau of 1 is trained"):
            sparsity.hold_sparsity(model, 0.5)

    def test_a_tau_that_is_trained_later(self):
        model = net()
        with sparsity.hold_sparsity(model, 0.5) as controller:
            model[3].tau.requires_grad_()
            with pytest.raises(ScheduleError, match="tau of 3 is trained"):
                controller.step()
            assert controller.steps == 0

    def test_budgets_that_are_none(self):
        with pytest.raises(SparsityError, match="budget 'channel' asked for; there is 'layer'"):
            sparsity.hold_sparsity(model := net(), 0.5, budget="channel")
        assert not model[1]._forward_hooks

    def test_nothing_to_hold(self):
        with pytest.raises(SelectionError, match="no activation with a tau"):
            sparsity.hold_sparsity(nn.ReLU(), 0.5)

    def test_where(self):
        model = net()
        with sparsity.hold_sparsity(model, 0.5, where=ca.where.named("3")) as controller:
            assert list(controller.sparsity) == ["3"]

    def test_the_state_of_another_model(self):
        with sparsity.hold_sparsity(net(), 0.5) as controller:
            state = controller.state_dict()
        with (
            sparsity.hold_sparsity(net(lambda: ca.nn.CReLU(torch.ones(256), 1.0)), 0.5) as other,
            pytest.raises(SparsityError, match="the state is of"),
        ):
            other.load_state_dict(state)

    @pytest.mark.parametrize(
        "state", [{}, {"steps": 3, "sites": {"1": {"zeros": torch.zeros(1)}}}, {"sites": {}}]
    )
    def test_what_is_no_state(self, state):
        with sparsity.hold_sparsity(net(), 0.5) as controller:
            before = controller.state_dict()
            with pytest.raises(SparsityError, match="no whole state_dict"):
                controller.load_state_dict(state)
            assert controller.state_dict()["steps"] == before["steps"]


def _hold_in_one_of_two(rank, port, results):
    os.environ.update(MASTER_ADDR="127.0.0.1", MASTER_PORT=str(port))
    torch.distributed.init_process_group("gloo", rank=rank, world_size=2)
    model = nn.Sequential(ca.nn.ShiftedReLU(0.0), ca.nn.ShiftedReLU(torch.zeros(4)))
    generator = torch.Generator().manual_seed(rank)
    with sparsity.hold_sparsity(model, 0.8) as controller:
        for _ in range(100):
            model[0](torch.randn(64, 4, generator=generator) + rank)
            model[1](torch.randn(64, 4, generator=generator) + rank)
            controller.step()
    taus = [model[0].tau, model[1].tau]
    model = nn.Sequential(ca.nn.ShiftedReLU(0.0), ca.nn.ShiftedReLU(0.0))
    with sparsity.hold_sparsity(model, 0.8, budget="global") as controller:
        for _ in range(100):
            model[0](torch.randn(64, 4, generator=generator) + rank)
            model[1](torch.randn(64, 12, generator=generator) + rank)
            controller.step()
    torch.save([*taus, model[0].tau, model[1].tau], f"{results}/{rank}.pt")
    torch.distributed.barrier()
    torch.distributed.destroy_process_group()


@pytest.mark.slow
def test_two_processes_hold_one_sparsity_with_one_threshold(tmp_path):
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        port = server.getsockname()[1]
    torch.multiprocessing.spawn(_hold_in_one_of_two, (port, str(tmp_path)), nprocs=2)
    first, second = (torch.load(tmp_path / f"{rank}.pt") for rank in (0, 1))
    assert all(torch.equal(a, b) for a, b in zip(first, second, strict=True))
    x = torch.cat([torch.randn(20_000) + shift for shift in (0.0, 1.0)])
    assert (x <= first[0].item()).float().mean().item() == pytest.approx(0.8, abs=0.02)
    wide, narrow = ((x <= tau.item()).float().mean().item() for tau in (first[3], first[2]))
    assert (3 * wide + narrow) / 4 == pytest.approx(0.8, abs=0.02)
