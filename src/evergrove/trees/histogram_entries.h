// Histograms of rows with entries (bins/sparse_bins.h), whose bins are many and mostly empty:
// entries are added to the histogram itself, and threads share a node of few rows, too. Part of
// histogram.cc, and of nothing else.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>
#include <span>

#include "evergrove/trees/histogram.h"

namespace evergrove::trees {

bool may_build_with_entries(std::span<const HistogramPart> parts);
// Requires: may_build_with_entries() of this part.
std::unique_ptr<Histogram> build_with_entries(const HistogramPart& part, HistogramPool& pool);

}  // namespace evergrove::trees
