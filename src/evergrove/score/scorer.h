// Scorer: a model laid out for scoring rows, many or one: a single row is a block of one, and there
// is no other way in. The walk over the trees is in compact_forest.h.
//
// Promise: margins are exact integer sums of the model's leaf values, the same bits in any block
// size, thread count and SIMD width, and those that training itself computed.
// Immutable after construction; safe to use from many threads; scoring a block allocates only
// per-thread scratch.
//
//   score::Scorer scorer(model);
//   scorer.margins(block, margins);   // block has model.features as columns, in their order
//
// Columns of features that no tree splits on are not looked at, so they need not be read.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <vector>

#include "evergrove/model/model.h"
#include "evergrove/table/row_source.h"

namespace evergrove::score {

class Scorer {
 public:
  // Requires: model::validate(model) is ok.
  explicit Scorer(const model::Model& model);
  ~Scorer();
  Scorer(Scorer&&) noexcept;
  Scorer& operator=(Scorer&&) noexcept;

  size_t output_count() const;
  size_t tree_count() const;
  // The features that some tree splits on, ascending.
  std::span<const size_t> used_features() const;

  // Sets margins[row * output_count + output], base margins included, in units of
  // 2^value_exponent. Requires: block.columns are the model's features, in order, of their kind;
  // those that are not used may be empty. Uses the threads of the TBB arena it is called in.
  void margins(const table::RowBlock& block, std::span<int64_t> margins) const;
  // The same, some consecutive rows after the other, to whoever makes something else of them: calls
  // visit(first row, their margins), for all rows once, from several threads.
  using VisitMargins = std::function<void(size_t first_row, std::span<const int64_t> margins)>;
  void for_each_margins(const table::RowBlock& block, const VisitMargins& visit) const;
  // Sets leaves[row * tree_count + tree] to the index of the leaf (node index) the row ends in.
  void leaves(const table::RowBlock& block, std::span<int32_t> leaves) const;

 private:
  struct Layout;
  std::unique_ptr<Layout> layout_;
};

// Margins (see above, row_count x output_count) to probabilities: binary gives the positive
// class's, one a row; multiclass one a class; regression the value itself.
void probabilities(const model::Model& model, std::span<const int64_t> margins,
                   std::span<double> out);

}  // namespace evergrove::score
