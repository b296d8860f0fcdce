// DataDescription: the words that say what to learn from, and the sources they stand for.
//
// A user says them once; a coordinator sends them to its workers, which open the same data.
//
//   EVERGROVE_ASSIGN_OR_RETURN(train::DataSpec spec, open_data(description));
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <map>
#include <string>
#include <vector>

#include "evergrove/base/bytes.h"
#include "evergrove/base/status.h"
#include "evergrove/train/dataset.h"

namespace evergrove::runtime {

struct DataDescription {
  std::vector<std::string> data;
  std::vector<std::vector<std::string>> valid;  // paths of each validation set
  double valid_fraction = 0;
  std::string label;
  std::string weight;
  std::vector<std::string> exclude;
  std::vector<std::string> categorical;
  std::map<std::string, std::string> column_types;  // CSV: number, text or date
  bool objective_is_chosen = false;

  void encode(ByteWriter& out) const;
  static Result<DataDescription> decode(ByteReader& in);
};

// Opens all sources, without reading them.
Result<train::DataSpec> open_data(const DataDescription& description);

}  // namespace evergrove::runtime
