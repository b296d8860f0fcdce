# SPDX-License-Identifier: Apache-2.0
"""One set of settings, said in each library's own words.

What is equal: trees, leaves, depth, learning rate, rows and hessian of a leaf at least, bins, L2,
share of rows a tree, seed, threads, no early stopping. What a library has no word for, and all
that is its own (how categories are treated, where trees start, how cuts are placed), stays at its
default; each such case is said below. `growth` "leaf" is best first up to `leaves`; "depth" is
level by level down to `depth`.
"""

from dataclasses import dataclass
from typing import Any, Literal

Task = Literal["binary", "multiclass", "regression"]
Parameters = dict[str, Any]


@dataclass(frozen=True)
class Settings:
    trees: int = 200
    leaves: int = 31
    depth: int = 0  # 0: no limit
    learning_rate: float = 0.1
    min_rows: int = 20
    min_hessian: float = 1e-3
    bins: int = 255
    l2: float = 1.0
    subsample: float = 1.0
    growth: Literal["leaf", "depth"] = "leaf"


def evergrove(settings: Settings, task: Task) -> Parameters:
    """For --set; seed and threads have their own options."""
    parameters = {
        "n_estimators": settings.trees,
        "learning_rate": settings.learning_rate,
        "growth": settings.growth,
        "max_leaves": settings.leaves,
        "max_depth": settings.depth,
        "max_bins": settings.bins,
        "min_rows": settings.min_rows,
        "min_hessian": settings.min_hessian,
        "lambda_l2": settings.l2,
        "subsample": settings.subsample,
    }
    return parameters


def lightgbm(settings: Settings, task: Task, seed: int, threads: int) -> Parameters:
    """Grows leaf by leaf only; `depth` limits it. Its max_bin counts the bin of missing values."""
    parameters = {
        "objective": task,
        "num_leaves": settings.leaves,
        "max_depth": settings.depth or -1,
        "learning_rate": settings.learning_rate,
        "min_data_in_leaf": settings.min_rows,
        "min_sum_hessian_in_leaf": settings.min_hessian,
        "max_bin": settings.bins,
        "lambda_l2": settings.l2,
        "bagging_fraction": settings.subsample,
        "bagging_freq": int(settings.subsample < 1),
        "num_threads": threads,
        "seed": seed,
        "verbose": -1,
    }
    return parameters


def lightgbm_quantised(settings: Settings, task: Task, seed: int, threads: int) -> Parameters:
    """With LightGBM's own integer gradients: its default four levels, leaves renewed exactly."""
    return lightgbm(settings, task, seed, threads) | {
        "use_quantized_grad": True,
        "num_grad_quant_bins": 4,
        "quant_train_renew_leaf": True,
    }


def xgboost(settings: Settings, task: Task, seed: int, threads: int) -> Parameters:
    """Knows no rows of a leaf at least, so only the hessian's bound holds; max_bin counts cuts."""
    objective = {
        "binary": "binary:logistic",
        "multiclass": "multi:softprob",
        "regression": "reg:squarederror",
    }
    parameters = {
        "objective": objective[task],
        "tree_method": "hist",
        "grow_policy": "lossguide" if settings.growth == "leaf" else "depthwise",
        "max_leaves": settings.leaves,
        "max_depth": settings.depth,
        "eta": settings.learning_rate,
        "min_child_weight": settings.min_hessian,
        "max_bin": settings.bins,
        "lambda": settings.l2,
        "subsample": settings.subsample,
        "nthread": threads,
        "seed": seed,
        "verbosity": 0,
    }
    return parameters


def catboost(settings: Settings, task: Task, seed: int, threads: int) -> Parameters:
    """Grows leaf by leaf with Lossguide, which allows 16 levels at most. Its rows are drawn a tree
    by Bernoulli. It knows no hessian of a leaf at least; border_count is bins less one."""
    loss = {"binary": "Logloss", "multiclass": "MultiClass", "regression": "RMSE"}
    parameters = {
        "loss_function": loss[task],
        "iterations": settings.trees,
        "depth": settings.depth or 16,
        "learning_rate": settings.learning_rate,
        "l2_leaf_reg": settings.l2,
        "border_count": settings.bins - 1,
        "min_data_in_leaf": settings.min_rows,
        "grow_policy": "Lossguide" if settings.growth == "leaf" else "Depthwise",
        "bootstrap_type": "Bernoulli" if settings.subsample < 1 else "No",
        "thread_count": threads,
        "random_seed": seed,
        "allow_writing_files": False,
        "logging_level": "Silent",
    }
    if settings.growth == "leaf":
        parameters["max_leaves"] = settings.leaves
    if settings.subsample < 1:
        parameters["subsample"] = settings.subsample
    return parameters


def catboost_fast(settings: Settings, task: Task, seed: int, threads: int) -> Parameters:
    """CatBoost as fast as it goes: plain boosting, one step a leaf, no random strength."""
    return catboost(settings, task, seed, threads) | {
        "boosting_type": "Plain",
        "leaf_estimation_iterations": 1,
        "random_strength": 0,
    }


def catboost_depthwise(settings: Settings, task: Task, seed: int, threads: int) -> Parameters:
    """Level by level to the depth that has `leaves` leaves: its quicker policy."""
    parameters = catboost_fast(settings, task, seed, threads)
    del parameters["max_leaves"]
    depth = max(1, (settings.leaves - 1).bit_length())
    return parameters | {"grow_policy": "Depthwise", "depth": depth}


def ydf(settings: Settings, task: Task, seed: int, threads: int) -> Parameters:
    """Knows no hessian of a leaf at least. Its exact splits would be another thing, so numbers
    are binned as in the others; without a validation share, which it takes by default."""
    parameters = {
        "task": "REGRESSION" if task == "regression" else "CLASSIFICATION",
        "num_trees": settings.trees,
        "shrinkage": settings.learning_rate,
        "growing_strategy": "BEST_FIRST_GLOBAL" if settings.growth == "leaf" else "LOCAL",
        "max_depth": settings.depth or -1,
        "min_examples": settings.min_rows,
        "l2_regularization": settings.l2,
        "use_hessian_gain": True,
        "discretize_numerical_columns": True,
        "num_discretized_numerical_bins": settings.bins,
        "subsample": settings.subsample,
        "sampling_method": "RANDOM" if settings.subsample < 1 else "NONE",
        "validation_ratio": 0.0,
        "early_stopping": "NONE",
        "num_threads": threads,
        "random_seed": seed,
    }
    if settings.growth == "leaf":
        parameters["max_num_nodes"] = settings.leaves
    return parameters


def catboost_symmetric(settings: Settings, task: Task, seed: int, threads: int) -> Parameters:
    """One split a level, to the depth that has `leaves` leaves: the policy it is known for, and
    its quickest."""
    parameters = catboost_fast(settings, task, seed, threads)
    del parameters["max_leaves"], parameters["min_data_in_leaf"]
    depth = max(1, (settings.leaves - 1).bit_length())
    return parameters | {"grow_policy": "SymmetricTree", "depth": depth}


# Name of a row in the tables: (module to import, its settings, how it is called).
PEERS = {
    "lightgbm": ("lightgbm", lightgbm, "LightGBM"),
    "lightgbm-quantised": ("lightgbm", lightgbm_quantised, "LightGBM, quantised"),
    "xgboost": ("xgboost", xgboost, "XGBoost"),
    "catboost": ("catboost", catboost, "CatBoost"),
    "catboost-fast": ("catboost", catboost_fast, "CatBoost, Lossguide, fast mode"),
    "catboost-depthwise": ("catboost", catboost_depthwise, "CatBoost, Depthwise, fast mode"),
    "catboost-symmetric": ("catboost", catboost_symmetric, "CatBoost, symmetric, fast mode"),
    "ydf": ("ydf", ydf, "YDF"),
}
