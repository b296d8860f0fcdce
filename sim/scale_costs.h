// ScaleCosts: what the work of a worker costs, measured on this machine with the very code, on one
// core; and how large its messages are, for any number of rows.
//
//   const ScaleCosts costs = ScaleCosts::measure(rows);
//   seconds += costs.histogram_row_feature * rows * features;
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>

#include "sim/scale_rows.h"

namespace evergrove::sim {

// Seconds.
struct ScaleCosts {
  double gradient_row = 0;           // and the beginning of a tree
  double histogram_row_feature = 0;  // of all rows, in their order
  double gathered_row_feature = 0;   // of some rows
  double partition_row = 0;
  double finish_row = 0;
  double make_bin = 0;    // to clear and to encode a bin of a histogram
  double add_bin = 0;     // to decode a bin and add it
  double search_bin = 0;  // to subtract, and to search two children
  // To send or receive a message, whatever its size: as the transport took on this machine, of
  // which nothing is in the simulation. Measured once (docs/cluster_figures.md).
  double message = 15e-6;

  static ScaleCosts measure(const ScaleRows& rows);
};

// Bytes of a histogram of a block in a message (trees/histogram_block.h), if rows lie evenly in
// the bins. An upper bound in deep nodes, where the features that were split on have fewer bins.
double block_bytes(double rows, size_t bins, size_t features);

}  // namespace evergrove::sim
