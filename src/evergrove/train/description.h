// Description: a RunDescription found part by part, by whoever can read the parts: here, or the
// workers of a cluster. It asks for parts in phases; what a part says is merged in any order, and
// the result is the header that prepare() makes of the same spec, to the bit.
//
//   EVERGROVE_ASSIGN_OR_RETURN(Description description, Description::begin(spec, parameters,
//   known)); while (!description.is_complete()) {
//     PartDescriber describer(spec);
//     for (const PartRequest& request : description.requests({.rows = 100'000})) {
//       EVERGROVE_ASSIGN_OR_RETURN(PartFacts facts, describer.describe(request));  // anywhere
//       description.add(request, std::move(facts));                                 // once each
//     }
//     EVERGROVE_RETURN_IF_ERROR(description.end_phase());
//   }
//   RunDescription run = description.finish();
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <map>
#include <optional>
#include <vector>

#include "evergrove/train/dataset.h"
#include "evergrove/train/description_part.h"

namespace evergrove::train {

// Columns whose samples are held together, where a source reads single columns: at about 2 MiB of
// sample a column.
inline constexpr uint32_t kColumnsAtOnce = 32;

// Somebody asked to stop while the data was being read.
Status stopped_before_training();

// Refuses what can be seen before any row is read.
Status check_spec(const DataSpec& spec, const Parameters& parameters, const RunHeader* known);

// Sets of a header what follows from the labels and weights of its training data, or is known:
// objective and classes. Refuses bad rows.
Status decide_labels(const DataSpec& spec, const LabelFacts& facts, const RunHeader* known,
                     RunHeader& header);
// Sets where margins start. sums: of all rows, if needs_sums().
Status decide_margins(const LabelFacts& facts, const LabelSums& sums, const RunHeader* known,
                      RunHeader& header);
// Sets the names of the sets to evaluate on.
void name_sets(const DataSpec& spec, RunHeader& header);

// How the work is divided.
struct PartSizes {
  uint64_t rows = 0;  // of a part, about
  // Where single columns can be read, and not too many rows: some columns of all rows are a part,
  // about so many of those, and who reads it finds their cuts as well; only labels are read by
  // rows. 0: all is read by rows, for samples that are put together here.
  uint32_t column_parts = 0;
};

class Description {
 public:
  // known: the header of a run that is resumed. The spec's sources outlive this; none of them is
  // asked for its manifest before finish().
  static Result<Description> begin(DataSpec spec, const Parameters& parameters,
                                   const RunHeader* known);

  bool is_complete() const { return phase_ == Phase::complete; }
  // What the phase needs, in parts. Requires: !is_complete(), and the same sizes in all phases.
  std::vector<PartRequest> requests(const PartSizes& sizes);
  // Requires: a request of this phase, which has not been added. corrupt for another's facts.
  Status add(const PartRequest& request, PartFacts facts);
  // Refuses what prepare() refuses. Requires: all of the phase's requests have been added.
  Status end_phase();
  // Requires: is_complete(), and no other call after it.
  RunDescription finish();

 private:
  enum class Phase { facts, sums, complete };
  // Neighbouring columns, asked for together so that not all of their samples are here at a time.
  struct ColumnGroup {
    size_t parts_to_come = 0;
    std::vector<ColumnFacts> facts;
  };

  bool is_by_column(const PartSizes& sizes) const;
  void add_column_requests(std::span<const Shard> parts, uint32_t at_once, uint32_t cut_bins,
                           std::vector<PartRequest>& requests);
  void decide_features(uint32_t first_column, std::vector<ColumnFacts> facts);

  DataSpec spec_;
  std::optional<RunHeader> known_;
  Phase phase_ = Phase::facts;
  RunHeader header_;
  std::vector<Shard> parts_;
  std::vector<size_t> columns_;
  std::vector<std::optional<LabelFacts>> facts_;  // of the training data and each of spec_.valid
  LabelSums sums_;
  std::map<uint32_t, ColumnGroup> groups_;  // by first column
  std::vector<Result<model::Feature>> features_;
};

}  // namespace evergrove::train
