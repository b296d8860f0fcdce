// The table itself. One entry a parameter, in the order in which people read them.
// SPDX-License-Identifier: Apache-2.0
#include "evergrove/train/parameter_entries.h"

namespace evergrove::train {
namespace {

constexpr double kNumberMax = 1e18;

std::vector<ParameterEntry> make_entries() {
  const auto growth = [](Growth value) { return static_cast<uint8_t>(value); };
  const auto objective = [](model::ObjectiveKind value) { return static_cast<uint8_t>(value); };
  using model::ObjectiveKind;
  return {
      {.name = "objective",
       .member = &Parameters::objective,
       .documentation =
           "What is learnt: `binary` (logistic loss; scores are probabilities of the second "
           "class), `multiclass` (softmax over all classes) or `regression` (squared error). "
           "Chosen by the label when it is not set.",
       .aliases = {{"loss"}, {"loss_function"}, {"application"}, {"app"}},
       .words = {{"binary", objective(ObjectiveKind::binary)},
                 {"multiclass", objective(ObjectiveKind::multiclass)},
                 {"regression", objective(ObjectiveKind::regression)},
                 {"binary:logistic", objective(ObjectiveKind::binary)},
                 {"binary_logloss", objective(ObjectiveKind::binary)},
                 {"logistic", objective(ObjectiveKind::binary)},
                 {"logloss", objective(ObjectiveKind::binary)},
                 {"binary_crossentropy", objective(ObjectiveKind::binary)},
                 {"multi:softprob", objective(ObjectiveKind::multiclass)},
                 {"multi:softmax", objective(ObjectiveKind::multiclass)},
                 {"softmax", objective(ObjectiveKind::multiclass)},
                 {"multi_logloss", objective(ObjectiveKind::multiclass)},
                 {"categorical_crossentropy", objective(ObjectiveKind::multiclass)},
                 {"reg:squarederror", objective(ObjectiveKind::regression)},
                 {"reg:linear", objective(ObjectiveKind::regression)},
                 {"squared_error", objective(ObjectiveKind::regression)},
                 {"least_squares", objective(ObjectiveKind::regression)},
                 {"mean_squared_error", objective(ObjectiveKind::regression)},
                 {"regression_l2", objective(ObjectiveKind::regression)},
                 {"rmse", objective(ObjectiveKind::regression)},
                 {"l2_root", objective(ObjectiveKind::regression)},
                 {"mse", objective(ObjectiveKind::regression)},
                 {"l2", objective(ObjectiveKind::regression)}}},
      {.name = "n_estimators",
       .member = &Parameters::n_estimators,
       .documentation =
           "Boosting iterations: trees, or trees a class with `multiclass`. A finished run can be "
           "continued with a larger number.",
       .aliases = {{"max_iter"},
                   {"num_iterations"},
                   {"num_iteration"},
                   {"n_iter"},
                   {"num_tree"},
                   {"num_trees"},
                   {"num_round"},
                   {"num_rounds"},
                   {"num_boost_round"},
                   {"nrounds"},
                   {"iterations"}},
       .low = 1,
       .high = 1e6,
       .may_differ_on_resume = true},
      {.name = "learning_rate",
       .member = &Parameters::learning_rate,
       .documentation =
           "What each tree's leaf values are multiplied by. Smaller learns slower and usually "
           "better, given more iterations.",
       .aliases = {{"eta"}, {"shrinkage_rate"}, {"shrinkage"}},
       .low = 0,
       .high = 10,
       .low_is_open = true},
      {.name = "growth",
       .member = &Parameters::growth,
       .documentation =
           "The order in which a tree grows: `leaf` splits the leaf that gains most, wherever it "
           "is; `depth` splits level by level; `symmetric` uses one split for a whole level.",
       .aliases = {{"grow_policy"}, {"growing_strategy"}},
       .words = {{"leaf", growth(Growth::leaf)},
                 {"depth", growth(Growth::depth)},
                 {"symmetric", growth(Growth::symmetric)},
                 {"lossguide", growth(Growth::leaf)},
                 {"leafwise", growth(Growth::leaf)},
                 {"leaf_wise", growth(Growth::leaf)},
                 {"best_first", growth(Growth::leaf)},
                 {"best_first_global", growth(Growth::leaf)},
                 {"depthwise", growth(Growth::depth)},
                 {"levelwise", growth(Growth::depth)},
                 {"level_wise", growth(Growth::depth)},
                 {"local", growth(Growth::depth)},
                 {"symmetrictree", growth(Growth::symmetric)},
                 {"oblivious", growth(Growth::symmetric)}}},
      {.name = "max_leaves",
       .member = &Parameters::max_leaves,
       .documentation = "Leaves of a tree, at most.",
       .aliases = {{"num_leaves"}, {"num_leaf"}, {"max_leaf"}, {"max_leaf_nodes"}},
       .low = 2,
       .high = 131072,
       .unlimited = 131072},
      {.name = "max_depth",
       .member = &Parameters::max_depth,
       .documentation = "Splits from the root to a leaf, at most.",
       .aliases = {{"depth"}},
       .low = 0,
       .high = 131071,
       .unlimited = 0,
       .range_note = "0: no limit; with `growth` symmetric 6, and 16 at most"},
      {.name = "max_bins",
       .member = &Parameters::max_bins,
       .documentation =
           "Bins a feature is cut into, at most, without the one for missing values. More than "
           "255 takes twice the memory.",
       .aliases = {{"max_bin"}, {"border_count", Conversion::one_more}, {"num_bins"}},
       .low = 2,
       .high = 65535},
      {.name = "min_rows",
       .member = &Parameters::min_rows,
       .documentation = "Training rows in a leaf, at least.",
       .aliases = {{"min_data_in_leaf"},
                   {"min_data"},
                   {"min_data_per_leaf"},
                   {"min_child_samples"},
                   {"min_samples_leaf"},
                   {"min_examples"}},
       .low = 0,
       .high = 1e12,
       .range_note = "0 is the same as 1"},
      {.name = "min_hessian",
       .member = &Parameters::min_hessian,
       .documentation =
           "Sum of second derivatives in a leaf, at least. A row's is p(1-p) with `binary`, "
           "K/(K-1) p(1-p) with K classes, 1 with `regression`, times its weight.",
       .aliases = {{"min_child_weight"},
                   {"min_sum_hessian_in_leaf"},
                   {"min_sum_hessian_per_leaf"},
                   {"min_sum_hessian"},
                   {"min_hessian_to_split"}},
       .low = 0,
       .high = kNumberMax},
      {.name = "min_gain",
       .member = &Parameters::min_gain,
       .documentation =
           "Loss reduction of a split, at least. It is half of G^2/(H+lambda) summed over the "
           "sides, less that of the whole; other libraries leave out the half, so their value is "
           "halved when it is given by their name.",
       .aliases = {{"gamma", Conversion::halved},
                   {"min_split_loss", Conversion::halved},
                   {"min_split_gain", Conversion::halved},
                   {"min_gain_to_split", Conversion::halved}},
       .low = 0,
       .high = kNumberMax},
      {.name = "lambda_l1",
       .member = &Parameters::lambda_l1,
       .documentation = "L1 regularisation of leaf values.",
       .aliases = {{"reg_alpha"}, {"alpha"}, {"l1_regularization"}, {"l1_reg"}},
       .low = 0,
       .high = kNumberMax},
      {.name = "lambda_l2",
       .member = &Parameters::lambda_l2,
       .documentation = "L2 regularisation of leaf values.",
       .aliases = {{"reg_lambda"}, {"lambda"}, {"l2_regularization"}, {"l2_leaf_reg"}, {"l2_reg"}},
       .low = 0,
       .high = kNumberMax},
      {.name = "max_step",
       .member = &Parameters::max_step,
       .documentation =
           "Limit of a leaf's value before the learning rate, in units of margin (log-odds), for "
           "classification; 0: no limit. It keeps Newton's step sane where a leaf holds rare "
           "positives alone, whose second derivative is next to nothing.",
       .aliases = {{"max_delta_step"}, {"clamp_leaf_logit"}},
       .low = 0,
       .high = kNumberMax},
      {.name = "max_categories",
       .member = &Parameters::max_categories,
       .documentation =
           "Categories of a feature that are told apart, the most frequent ones, or `max_bins` if "
           "that is more. More than 255 in any feature takes twice the memory.",
       .low = 2,
       .high = 65535},
      {.name = "max_onehot",
       .member = &Parameters::max_onehot,
       .documentation =
           "A feature with up to so many categories is split one category against the rest; with "
           "more, categories are sorted by their mean gradient.",
       .aliases = {{"max_cat_to_onehot"}, {"one_hot_max_size"}},
       .low = 0,
       .high = 65535},
      {.name = "category_smooth",
       .member = &Parameters::category_smooth,
       .documentation =
           "Added to a category's second derivatives when categories are sorted, so that rare "
           "ones do not come first or last by chance.",
       .aliases = {{"cat_smooth"}},
       .low = 0,
       .high = kNumberMax},
      {.name = "category_l2",
       .member = &Parameters::category_l2,
       .documentation = "Added to `lambda_l2` in splits of sorted categories.",
       .aliases = {{"cat_l2"}},
       .low = 0,
       .high = kNumberMax},
      {.name = "min_category_rows",
       .member = &Parameters::min_category_rows,
       .documentation =
           "A category with fewer rows in a node is not sorted in; it goes with the rest.",
       .aliases = {{"min_data_per_group"}},
       .low = 0,
       .high = 1e12,
       .range_note = "0: a thousandth of the training rows, from 10 to 400; where a "
                     "quarter of what a category has on average is more, that, up to 100"},
      {.name = "subsample",
       .member = &Parameters::subsample,
       .documentation =
           "Share of the rows that each iteration learns from, chosen by a hash of the row id.",
       .aliases = {{"bagging_fraction"}, {"bagging"}, {"sub_row"}, {"subsample_rate"}},
       .low = 0,
       .high = 1,
       .low_is_open = true},
      {.name = "colsample_bytree",
       .member = &Parameters::colsample_bytree,
       .documentation = "Share of the features that each tree may use.",
       .aliases = {{"feature_fraction"}, {"sub_feature"}},
       .low = 0,
       .high = 1,
       .low_is_open = true},
      {.name = "colsample_bylevel",
       .member = &Parameters::colsample_bylevel,
       .documentation = "Share of the tree's features that each level may use.",
       .aliases = {{"rsm"}},
       .low = 0,
       .high = 1,
       .low_is_open = true},
      {.name = "colsample_bynode",
       .member = &Parameters::colsample_bynode,
       .documentation = "Share of the level's features that each node may use.",
       .aliases = {{"feature_fraction_bynode"}, {"sub_feature_bynode"}, {"max_features"}},
       .low = 0,
       .high = 1,
       .low_is_open = true},
      {.name = "scale_pos_weight",
       .member = &Parameters::scale_pos_weight,
       .documentation =
           "Multiplies the weight of rows of the second class in training; `binary` only.",
       .aliases = {},
       .low = 0,
       .high = 1e9,
       .low_is_open = true},
      {.name = "base_score",
       .member = &Parameters::base_score,
       .documentation =
           "The prediction before the first tree: a probability with `binary`, a value with "
           "`regression`. Not set, it is the weighted mean of the label; with `multiclass` it is "
           "always the classes' shares.",
       .aliases = {},
       .low = -1e15,
       .high = 1e15,
       .may_be_unset = true,
       .range_note = "`binary`: between 0 and 1"},
      {.name = "early_stopping_rounds",
       .member = &Parameters::early_stopping_rounds,
       .documentation =
           "Stops when the first metric on the first validation set has not become better for so "
           "many iterations, and keeps the trees up to the best one. Needs a validation set.",
       .aliases = {{"early_stopping_round"},
                   {"early_stopping"},
                   {"n_iter_no_change"},
                   {"num_early_stopping_rounds"},
                   {"od_wait"}},
       .low = 0,
       .high = 1e6,
       .range_note = "0: off",
       .may_differ_on_resume = true},
      {.name = "metrics",
       .member = &Parameters::metrics,
       .documentation =
           "What is measured after each iteration on every set, separated by commas; the first "
           "one decides about early stopping. `binary`: auc, average_precision, log_loss, error, "
           "accuracy, rmse, mae, precision_at_K, recall_at_K (K rows with the highest scores). "
           "`multiclass`: log_loss, error, accuracy. `regression`: rmse, mse, mae, r2. Not set: "
           "auc, average_precision, log_loss; log_loss, error; rmse, mae.",
       .aliases = {{"metric"}, {"eval_metric"}, {"metric_types"}, {"custom_metric"}}},
      {.name = "seed",
       .member = &Parameters::seed,
       .documentation =
           "The seed of every random choice: rounding of gradients, rows, features, the sample "
           "for cuts. The same seed, data and parameters give the same model, bit for bit.",
       .aliases = {{"random_state"}, {"random_seed"}},
       .low = 0,
       .high = 18446744073709551615.0},
  };
}

constexpr ForeignName kForeignNames[] = {
    {"n_jobs", "threads never change the model; choose them with --threads (Python: threads)"},
    {"nthread", "threads never change the model; choose them with --threads (Python: threads)"},
    {"num_threads", "threads never change the model; choose them with --threads (Python: threads)"},
    {"thread_count",
     "threads never change the model; choose them with --threads (Python: threads)"},
    {"num_class", "classes are counted from the label; leave it out"},
    {"bagging_freq", "subsample draws new rows in every iteration; leave it out"},
    {"subsample_freq", "subsample draws new rows in every iteration; leave it out"},
    {"tree_method", "trees are always grown from histograms; leave it out"},
    {"boosting_type", "boosting is always of gradient boosted trees; leave it out"},
    {"booster", "boosting is always of gradient boosted trees; leave it out"},
    {"categorical_feature", "choose categorical columns with --categorical"},
    {"categorical_features", "choose categorical columns with --categorical"},
    {"cat_features", "choose categorical columns with --categorical"},
    {"validation_fraction", "choose it with --valid-fraction"},
    {"verbose", "use --quiet to say less"},
};

}  // namespace

std::span<const ParameterEntry> parameter_entries() {
  static const std::vector<ParameterEntry> entries = make_entries();
  return entries;
}

std::span<const ForeignName> foreign_names() { return kForeignNames; }

}  // namespace evergrove::train
