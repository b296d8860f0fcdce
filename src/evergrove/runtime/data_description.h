// DataDescription: the words that say what to learn from, and the sources they stand for.
//
// A user says them once; a coordinator sends them to its workers, which open the same data. A set
// is paths, or partitions that whoever reads rows fetches (source/partitions.h).
//
//   EVERGROVE_ASSIGN_OR_RETURN(train::DataSpec spec, open_data(description, Readers::one));
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <map>
#include <string>
#include <vector>

#include "evergrove/base/bytes.h"
#include "evergrove/base/status.h"
#include "evergrove/source/partitions.h"
#include "evergrove/train/dataset.h"

namespace evergrove::runtime {

struct DataDescription {
  std::vector<std::string> data;
  std::vector<std::vector<std::string>> valid;  // paths of each validation set
  // Instead of paths: of the data, then of each of valid (whose paths are empty); empty where a set
  // is paths. None at all: all are.
  std::vector<source::PartitionSet> partitions;
  double valid_fraction = 0;
  std::string label;
  std::string weight;
  std::vector<std::string> exclude;
  std::vector<std::string> categorical;
  std::map<std::string, std::string> column_types;  // CSV: number, text or date
  bool objective_is_chosen = false;

  bool has_partitions() const { return !partitions.empty(); }
  void encode(ByteWriter& out) const;
  static Result<DataDescription> decode(ByteReader& in);
};

// Gives a partition of a set: 0 is the data, i + 1 valid[i].
using FetchPartitionOfSet =
    std::function<Status(size_t set, size_t partition, ArrowArrayStream* stream)>;

// Opens all sources, without reading them; all of several readers see the same blocks. fetch: where
// some are partitions; null where their rows are not read.
Result<train::DataSpec> open_data(const DataDescription& description, source::Readers readers,
                                  const FetchPartitionOfSet& fetch = nullptr);

}  // namespace evergrove::runtime
