import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from core.train.optim import polynomial_decay, sgd


def test_polynomial_decay_is_its_formula():
    steps, rate = 80_000, 0.01
    schedule = polynomial_decay(rate, steps, power=0.9)
    for it in (0, 1, 39_999, 79_999, 80_000, 90_000):
        expected = rate * max(0.0, 1 - it / steps) ** 0.9
        # float32: 1 - it/steps keeps 2^-24 absolutely, 1/steps at the last step.
        assert float(schedule(it)) == pytest.approx(expected, rel=2**-24 * steps, abs=1e-12)


def test_sgd_is_its_formula():
    rate, momentum, decay = 0.1, 0.9, 0.01
    tx, p = sgd(rate, momentum=momentum, weight_decay=decay), jnp.array([1.0, -2.0])
    state, v, q = tx.init(p), np.zeros(2), np.asarray(p, np.float64)
    for step in range(5):
        grad = np.array([0.3, step - 2.0])
        updates, state = tx.update(jnp.asarray(grad, jnp.float32), state, p)
        p = optax.apply_updates(p, updates)
        v = momentum * v + grad + decay * q
        q = q - rate * v
    np.testing.assert_allclose(p, q, rtol=1e-6)  # five float32 updates


def test_sgd_decays_the_parameters_it_is_told_to():
    params = {"kernel": jnp.full((2, 2), 3.0), "bias": jnp.full(2, 3.0)}
    zero = jax.tree.map(jnp.zeros_like, params)
    told = {"all": None, "kernels": lambda p: jax.tree.map(lambda a: a.ndim > 1, p)}
    updates = {}
    for name, decays in told.items():
        tx = sgd(0.5, momentum=0.9, weight_decay=0.1, decays=decays)
        updates[name], _ = tx.update(zero, tx.init(params), params)
    # Without a gradient a step is -rate · decay · p, in float32.
    for name, of_bias in (("all", -0.15), ("kernels", 0.0)):
        np.testing.assert_allclose(updates[name]["kernel"], -0.15, rtol=1e-6)
        np.testing.assert_allclose(updates[name]["bias"], of_bias, rtol=1e-6)


@pytest.mark.parity
@pytest.mark.parametrize("nesterov", [False, True])
def test_sgd_follows_torch_over_a_decayed_run(nesterov):
    torch = pytest.importorskip("torch")
    numbers, steps = np.random.default_rng(0), 60
    x, y = numbers.standard_normal((20, 8)), numbers.standard_normal(20)

    theirs = torch.zeros(8, dtype=torch.float32, requires_grad=True)
    options = {"momentum": 0.9, "weight_decay": 5e-4, "nesterov": nesterov}
    optimizer = torch.optim.SGD([theirs], lr=0.05, **options)
    decay = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda it: (1 - it / steps) ** 0.9)
    a, b = torch.tensor(x, dtype=torch.float32), torch.tensor(y, dtype=torch.float32)
    for _ in range(steps):
        optimizer.zero_grad()
        ((a @ theirs - b) ** 2).mean().backward()
        optimizer.step()
        decay.step()

    tx = sgd(polynomial_decay(0.05, steps, power=0.9), **options)
    ours = jnp.zeros(8)
    state = tx.init(ours)
    a, b = jnp.asarray(x, jnp.float32), jnp.asarray(y, jnp.float32)
    grad = jax.jit(jax.grad(lambda p: ((a @ p - b) ** 2).mean()))
    for _ in range(steps):
        updates, state = tx.update(grad(ours), state, ours)
        ours = optax.apply_updates(ours, updates)
    # Sixty float32 updates of values near one.
    np.testing.assert_allclose(ours, theirs.detach().numpy(), rtol=1e-5, atol=1e-6)
