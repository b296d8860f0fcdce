// PartRequest and PartFacts: what is asked of a part of a run's data before the first tree, and the
// answer. description.h asks, of whoever can read the part.
//
//   EVERGROVE_ASSIGN_OR_RETURN(PartFacts facts, describe_part(spec, request));
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>
#include <vector>

#include "evergrove/base/bytes.h"
#include "evergrove/base/status.h"
#include "evergrove/train/dataset.h"
#include "evergrove/train/features.h"
#include "evergrove/train/label_facts.h"
#include "evergrove/train/shard.h"

namespace evergrove::train {

// What is asked of the rows of one shard.
struct PartRequest {
  Shard part;
  uint64_t seed = 0;
  bool labels = false;
  std::optional<LabelSumsRequest> sums;
  // Of the columns that are features, in their order.
  uint32_t first_column = 0;
  uint32_t column_count = 0;

  bool operator==(const PartRequest&) const = default;
  void encode(ByteWriter& out) const;
  static Result<PartRequest> decode(ByteReader& in);
};
// What was asked for, and no more.
struct PartFacts {
  std::optional<LabelFacts> labels;
  std::optional<LabelSums> sums;
  std::vector<ColumnFacts> columns;

  void encode(ByteWriter& out) const;
  static Result<PartFacts> decode(ByteReader& in);
};

// Reads a part. Rows that are refused are counted, not refused; what cannot be read is.
Result<PartFacts> describe_part(const DataSpec& spec, const PartRequest& request);

}  // namespace evergrove::train
