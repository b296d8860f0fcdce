// The boosting round: gradients at the margins so far, a tree an output, margins moved by its
// leaves, metrics. All outputs of an iteration see the same margins, so their gradients are made
// before the first of their trees.
// SPDX-License-Identifier: Apache-2.0
#include <tbb/blocked_range.h>
#include <tbb/parallel_for.h>

#include <algorithm>

#include "evergrove/base/check.h"
#include "evergrove/train/forest_walk.h"
#include "evergrove/train/gradient_maker.h"
#include "evergrove/train/margins.h"
#include "evergrove/train/metrics.h"
#include "evergrove/train/run_history.h"
#include "evergrove/train/trainer.h"
#include "evergrove/train/trees_behind.h"
#include "evergrove/trees/binned_tree.h"
#include "evergrove/trees/grower.h"

namespace evergrove::train {
namespace {

// A data set with the margins of its rows.
struct Scored {
  const Dataset* data;
  Margins margins;

  static Scored of(const RunHeader& header, const Dataset& dataset) {
    return {&dataset, Margins(header.base_margins, dataset.row_count())};
  }
};

class Boosting final : public Trainer {
 public:
  Boosting(RunHeader header, TrainingData data)
      : header_(std::move(header)),
        data_(std::move(data)),
        history_(header_),
        gradient_maker_(header_,
                        WeightFacts::of(header_.parameters, data_.train.classes,
                                        data_.train.weights, data_.train.row_count()),
                        data_.train),
        grower_(data_.train.bins, header_.features, growth_options(header_)),
        gradients_(header_.base_margins.size()),
        train_(Scored::of(header_, data_.train)) {
    for (const Dataset& valid : data_.valid) valid_.push_back(Scored::of(header_, valid));
  }

  bool finished() const override { return history_.finished(); }
  Result<Iteration> next() override;
  Status replay(const Iteration& iteration) override;

  uint64_t row_count() const override { return data_.train.row_count(); }
  uint64_t iteration_count() const override { return history_.iterations().size(); }
  const RunHeader& header() const override { return header_; }
  uint64_t best_iteration() const override { return history_.best_iteration(); }
  model::Model model() const override { return history_.model(); }
  Result<std::vector<model::MetricValue>> training_metrics() override;

 private:
  size_t output_count() const { return header_.base_margins.size(); }
  // Moves the margins by what was replayed.
  Status catch_up();
  void add_metrics(const Scored& scored, std::vector<model::MetricValue>& to) const;
  // Adds a tree to the margins of all rows of a data set, or of those not excluded.
  void apply(const trees::BinnedTree& tree, size_t output, std::span<const uint8_t> excluded,
             Scored& to) const {
    tree.add(to.data->bins, excluded, to.margins.of(output));
  }

  RunHeader header_;
  TrainingData data_;
  RunHistory history_;
  GradientMaker gradient_maker_;
  trees::Grower grower_;
  std::vector<trees::Gradients> gradients_;
  Scored train_;
  std::vector<Scored> valid_;
  std::vector<uint8_t> in_sample_;
  TreesBehind behind_;
};

void Boosting::add_metrics(const Scored& scored, std::vector<model::MetricValue>& to) const {
  const Result<std::vector<double>> values = evaluate_metrics(
      history_.metric_names(), metric_input(header_, *scored.data, scored.margins.all()));
  CHECK(values.ok());
  for (size_t i = 0; i < history_.metric_names().size(); ++i) {
    to.push_back({scored.data->name, history_.metric_names()[i], (*values)[i]});
  }
}

Result<Iteration> Boosting::next() {
  CHECK(!finished());
  EVERGROVE_RETURN_IF_ERROR(catch_up());
  Iteration iteration;
  iteration.index = history_.iterations().size();
  const bool is_sampled = header_.parameters.subsample < 1;
  std::vector<uint32_t> rows;  // empty: all, if they are not sampled
  if (is_sampled) rows = sample_rows(header_.parameters, iteration.index, data_.train, in_sample_);
  const size_t outputs = output_count();
  gradient_maker_.make_alone(iteration.index, train_.margins.all(), gradients_);
  // Where chance takes no row at all (there are very few), nothing is learnt.
  const bool is_empty = is_sampled && rows.empty();
  for (uint32_t output = 0; output < outputs; ++output) {
    if (is_empty) {
      model::Tree& leaf = iteration.trees.emplace_back();
      leaf.output = output;
      leaf.nodes.resize(1);
      continue;
    }
    trees::GrownTree grown =
        grower_.grow(gradients_[output], output, iteration.index * outputs + output, rows);
    grown.tree.output = output;
    grower_.add_leaves(grown, train_.margins.of(output));
    if (is_sampled || !valid_.empty()) {
      const auto tree = trees::BinnedTree::make(grown.tree, header_.features);
      CHECK(tree.ok());
      if (is_sampled) apply(*tree, output, in_sample_, train_);
      for (Scored& valid : valid_) apply(*tree, output, {}, valid);
    }
    iteration.trees.push_back(std::move(grown.tree));
  }
  for (const Scored& valid : valid_) add_metrics(valid, iteration.metrics);
  history_.keep(iteration);
  return iteration;
}

// Trees move the margins later, many at a time, where nothing needs the margins now.
Status Boosting::replay(const Iteration& iteration) {
  EVERGROVE_RETURN_IF_ERROR(behind_.add(iteration, iteration_count(), header_));
  if (behind_.is_full()) EVERGROVE_RETURN_IF_ERROR(catch_up());
  if (history_.has_metrics_of_now(iteration)) {
    history_.keep(iteration);
    return {};
  }
  EVERGROVE_RETURN_IF_ERROR(catch_up());
  Iteration evaluated = iteration;
  evaluated.metrics.clear();
  for (const Scored& valid : valid_) add_metrics(valid, evaluated.metrics);
  history_.keep(std::move(evaluated));
  return {};
}

Status Boosting::catch_up() {
  const auto move = [&](const ForestWalk& walk, auto /*batch*/) {
    walk.add(train_.data->bins, train_.margins);
    for (Scored& valid : valid_) walk.add(valid.data->bins, valid.margins);
  };
  EVERGROVE_RETURN_IF_ERROR(for_each_walk(behind_.iterations(), header_, move));
  behind_.clear();
  return {};
}

Result<std::vector<model::MetricValue>> Boosting::training_metrics() {
  std::vector<model::MetricValue> metrics;
  const uint64_t kept = best_iteration();
  if (kept == history_.iterations().size()) {
    EVERGROVE_RETURN_IF_ERROR(catch_up());
    add_metrics(train_, metrics);
    return metrics;
  }
  Scored at_best = Scored::of(header_, data_.train);
  std::vector<std::vector<model::Tree>> iterations;
  for (uint64_t i = 0; i < kept; ++i) iterations.push_back(history_.iterations()[i].trees);
  const auto move = [&](const ForestWalk& walk, auto /*batch*/) {
    walk.add(data_.train.bins, at_best.margins);
  };
  EVERGROVE_RETURN_IF_ERROR(for_each_walk(iterations, header_, move));
  add_metrics(at_best, metrics);
  return metrics;
}

}  // namespace

Result<std::unique_ptr<Trainer>> Trainer::create(RunHeader header, TrainingData data) {
  EVERGROVE_RETURN_IF_ERROR(check_run(header.parameters, !data.valid.empty()));
  return std::unique_ptr<Trainer>(std::make_unique<Boosting>(std::move(header), std::move(data)));
}

}  // namespace evergrove::train
