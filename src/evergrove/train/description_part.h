// PartRequest and PartFacts: what is asked of a part of a run's data before the first tree, and the
// answer. description.h asks, of whoever can read the part.
//
//   PartDescriber describer(spec);
//   EVERGROVE_ASSIGN_OR_RETURN(PartFacts facts, describer.describe(request));
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>
#include <memory>
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
  // Where the part is all training rows: numeric columns' cuts for so many bins, instead of their
  // samples. 0: samples.
  uint32_t cut_bins = 0;

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

// Reads parts. Which rows of a part are in the sample is kept for the next columns of the same one.
// One thread at a time.
class PartDescriber {
 public:
  // The spec outlives it.
  explicit PartDescriber(const DataSpec& spec);
  ~PartDescriber();

  // Rows that are refused are counted, not refused; what cannot be read is. is_wanted: asked now
  // and then on this thread; interrupted as soon as it says no.
  Result<PartFacts> describe(const PartRequest& request,
                             const std::function<bool()>& is_wanted = nullptr);

 private:
  struct Rows;
  Result<const Rows*> rows_of(const PartRequest& request);

  const DataSpec& spec_;
  std::unique_ptr<Rows> rows_;  // of the last part
};

}  // namespace evergrove::train
