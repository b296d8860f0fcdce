// Dataset: binned rows with their labels and weights; TrainingData: one to learn from and those to
// evaluate on. prepare() makes them from row sources: the hash sample and the categories first
// (unless the features are known from a log), then the bins, in a second pass over the blocks or of
// each column as soon as it is decided, so that memory holds bins and never the table. describe()
// does the first part only, for a run whose rows are read elsewhere, in parts (train/shard.h).
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "evergrove/base/status.h"
#include "evergrove/bins/bin_matrix.h"
#include "evergrove/table/row_source.h"
#include "evergrove/train/gradient_scale.h"
#include "evergrove/train/parameters.h"
#include "evergrove/train/run_record.h"

namespace evergrove::train {

// Consecutive rows, named by the place that the first has among all rows of its set. Every hash of
// a row (rounding, sampling) is of that place, so it is the same on whichever machine the row is.
struct RowSegment {
  uint64_t first_row = 0;
  size_t row_count = 0;
};

// The rows of a set, or those that a worker of a cluster holds.
struct Dataset {
  std::string name;  // "train", "valid", ...
  // What the rows are, in their order here; together they have row_count() rows. Empty: all rows
  // from 0.
  std::vector<RowSegment> segments;
  bins::BinMatrix bins;
  std::vector<uint16_t> classes;  // classification: the class of each row
  std::vector<double> targets;    // regression: the label of each row
  std::vector<float> weights;     // empty: all 1; scale_pos_weight is not in it
  size_t row_count() const { return bins.row_count(); }
};

struct TrainingData {
  Dataset train;
  std::vector<Dataset> valid;
};

// What to read. Columns that are neither label, weight nor excluded are features, in schema order.
struct DataSpec {
  std::shared_ptr<const table::RowSource> data;
  struct ValidSource {
    std::string name;
    std::shared_ptr<const table::RowSource> source;
  };
  std::vector<ValidSource> valid;
  double valid_fraction = 0;  // 0: none; of the rows, by hash of the row id, under the name "valid"
  std::string label;
  std::string weight;  // empty: none
  std::vector<std::string> exclude;
  std::vector<std::string> categorical;  // numeric columns to take as categories
  bool objective_is_chosen = false;      // false: prepare() may choose it by the label

  // Has the sources give back what they keep: for the time being all is read.
  void let_go() const {
    data->let_go();
    for (const ValidSource& each : valid) each.source->let_go();
  }
};

struct PreparedData {
  RunHeader header;
  TrainingData data;
  double read_seconds = 0;  // reading and sampling; filled in by the caller's clock, if it has one
};

// Progress of preparing, for people: what is being done and which share is done.
using PrepareProgress = std::function<bool(std::string_view phase, double share)>;

// Reads and bins. With `known`, its features, classes and base margins are taken as they are
// (resuming). Every kind of bad data listed in docs/guide/bad_input.md is refused here with the
// column and, where there is one, the row. Progress returning false gives interrupted.
Result<PreparedData> prepare(const DataSpec& spec, const Parameters& parameters,
                             const RunHeader* known, const PrepareProgress& progress);

// What is decided about a run before the first tree, and what is to be known of all its rows.
struct RunDescription {
  RunHeader header;
  WeightFacts weight_facts;        // of the training rows
  double training_weight_max = 0;  // the largest of column `weight`; 0: no weights
  // The same of each validation set, in the order of header.valid_names and TrainingData.valid.
  std::vector<double> weight_max_by_set;
};

// The header that prepare() makes of the same spec, without binning: labels and weights of every
// set are read, and, unless they are known, the training data's features. Refuses what prepare()
// refuses, but for cells of features that are not read here.
// rows_at_once: about how many are read together; 0: all.
Result<RunDescription> describe(const DataSpec& spec, const Parameters& parameters,
                                const RunHeader* known, const PrepareProgress& progress,
                                uint64_t rows_at_once = 0);

}  // namespace evergrove::train
