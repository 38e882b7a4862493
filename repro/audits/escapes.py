"""Which claim would catch a fault that no present claim notices: the statement that depends on what is wrong.

Some of these claims are still to be written: no claim checks those statements of the documents yet.
"""

from __future__ import annotations

from repro.audits.faults import Fault

# By target, or by the name of a single fault.
WOULD_CATCH: dict[str, str] = {
    "keras.activations.gelu": "activations.gelu_forms",
    "keras.activations.leaky_relu": "activations.ranges",
    "keras.activations.linear": "activations.linear_stack_collapses",
    "keras.activations.relu": "backpropagation.layer_derivatives",
    "keras.activations.sigmoid": "linear_models.logistic_identities",
    "keras.activations.silu": "activations.ranges",
    "activations.silu: derivative halved": "backpropagation.layer_derivatives",
    "keras.activations.softplus": "activations.ranges",
    "activations.softplus: derivative halved": "backpropagation.layer_derivatives",
    "keras.activations.tanh": "activations.tanh_is_scaled_sigmoid",
    "keras.initializers.GlorotNormal.__call__": "initialization.glorot_compromise",
    "keras.initializers.GlorotUniform.__call__": "initialization.glorot_uniform",
    "keras.initializers.HeNormal.__call__": "initialization.he_uniform",
    "keras.initializers.Ones.__call__": "normalization.bn_standardises",
    "keras.initializers.Orthogonal.__call__": "initialization.orthogonal",
    "keras.layers.Activation.call": "activations.ranges",
    "keras.layers.Add.call": "architectures.residual_zero_is_identity",
    "keras.layers.AdaptiveAveragePooling2D.call": "architectures.adaptive_average_pool",
    "keras.layers.AveragePooling2D.call": "convolution.linear_without_activation",
    "keras.layers.BatchNormalization.call": "normalization.bn_standardises",
    "layers.BatchNormalization: infers with statistics of the batch": "normalization.bn_inference",
    "layers.BatchNormalization: momentum of the new value": "normalization.bn_inference",
    "layers.BatchNormalization: moving statistics are stale": "normalization.bn_inference",
    "keras.layers.Concatenate.call": "convolution.patch_mlp",
    "keras.layers.Conv2D.call": "convolution.sparse_shared_dense",
    "keras.layers.Dense.call": "backpropagation.layer_derivatives",
    "keras.layers.Dropout.call": "dropout.expected_preactivation",
    "layers.Dropout: wrong axis": "dropout.keep_probability",
    "keras.layers.Flatten.call": "convolution.sparse_shared_dense",
    "keras.layers.GlobalAveragePooling2D.call": "architectures.gap_constant_matrix",
    "keras.layers.MaxPooling2D.call": "convolution.max_pool",
    "keras.layers.ReLU.call": "activations.relu_scale_invariance",
    "keras.layers.Reshape.call": "convolution.patch_mlp",
    "keras.losses.BinaryCrossentropy.call": "linear_models.cross_entropy_forms",
    "keras.losses.SparseCategoricalCrossentropy.call": "losses.cross_entropy_decomposes",
    "keras.losses.binary_crossentropy": "linear_models.cross_entropy_forms",
    "keras.losses.mean_absolute_error": "losses.l2_raises_small_differences",
    "keras.losses.sparse_categorical_crossentropy": "losses.cross_entropy_decomposes",
    "keras.losses.mean_squared_error": "losses.l2_loss_forms",
    "keras.metrics.sparse_categorical_accuracy": "metrics.confusion_rates",
    "keras.ops.abs": "losses.l2_raises_small_differences",
    "keras.ops.absolute": "losses.l2_raises_small_differences",
    "keras.ops.adaptive_average_pool": "architectures.adaptive_average_pool",
    "keras.ops.batch_normalization": "normalization.bn_standardises",
    "keras.ops.diag": "recurrent.linear_diagonalises",
    "keras.ops.einsum": "attention.matrix_form",
    "keras.ops.exp": "recurrent.linear_initialisation",
    "keras.ops.gelu": "activations.gelu_forms",
    "keras.ops.log": "losses.cross_entropy_decomposes",
    "keras.ops.matmul": "backpropagation.layer_derivatives",
    "keras.ops.sigmoid": "linear_models.logistic_identities",
    "keras.ops.softplus": "activations.ranges",
    "keras.ops.sparse_categorical_crossentropy": "losses.cross_entropy_decomposes",
    "keras.ops.tanh": "activations.tanh_is_scaled_sigmoid",
    "ops.var: result doubled": "initialization.variance_sum",
    "ops.var: wrong axis": "attention.scaling",
    "keras.optimizers.Adam.update_step": "optimizers.adam_notes",
    "keras.optimizers.SGD.update_step": "optimizers.momentum_cheatsheet",
    "keras.random.SeedGenerator.next": "dropout.keep_probability",
    "keras.random.uniform": "probability.monte_carlo_pi",
    "keras.regularizers.L2.__call__": "weight_decay.layerwise",
}


def would_be_caught_by(fault: Fault) -> str:
    """Return the id of a claim; empty where none is known.

    Args:
        fault: that escaped.
    """
    return WOULD_CATCH.get(fault.name, WOULD_CATCH.get(fault.target, ""))
