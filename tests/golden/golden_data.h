// The data that golden digests rest on: made by hash from row numbers with +, -, * and / alone, so
// that neither a libm nor the order of anything can show.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "evergrove/table/row_source.h"
#include "evergrove/train/parameters.h"

namespace evergrove::golden {

struct Case {
  std::string name;
  train::Parameters parameters;
  std::string weight;  // a column, or empty
  double valid_fraction = 0;
};

// Data set by data set, growth by growth, with and without sampling.
std::vector<Case> cases();

// The rows of a case, whose name begins with that of its data set. The label is "label".
std::shared_ptr<table::RowSource> rows_of(const Case& one, size_t block_rows);

}  // namespace evergrove::golden
