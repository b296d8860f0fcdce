// Histogram blocks: the bins of a range of features, as bytes that workers send one another and as
// the sums that the owner of the range adds them to.
//
// Only bins that have rows are written: a bit a bin, then their sums, in as few bits (of a packed
// histogram) or bytes (of a wide one) as the largest of the block needs. Decoding takes any bytes:
// what is not a block of that many bins is refused and changes nothing.
//
//   std::string bytes = encode_block(histogram, bin_begin, bin_end);
//   EVERGROVE_RETURN_IF_ERROR(add_block(bytes, block));   // block: bin_end - bin_begin bins
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

#include "evergrove/base/status.h"
#include "evergrove/trees/histogram.h"

namespace evergrove::trees {

// A wide histogram of that many bins, all 0.
Histogram wide_histogram(size_t bin_count);
// Adds bins bin_begin to bin_begin + n - 1 to the n bins of `to`. Requires: where `to` is packed,
// `from` is, and they are of at most kPackedRows rows together.
void add_range(const Histogram& from, size_t bin_begin, Histogram& to);
// The same where `to` is any yet: it becomes those bins.
void set_range(const Histogram& from, size_t bin_begin, Histogram& to);

// Bins bin_begin to bin_end - 1 as bytes.
std::string encode_block(const Histogram& histogram, size_t bin_begin, size_t bin_end);
// The words of a packed histogram's bins, as they lie in it: what of it may be sent where bytes
// cost less than encoding them.
std::string_view block_words(const Histogram& histogram);
// Adds such words to a histogram of so many bins, or sets it to them where it is any yet.
Status add_block_words(std::string_view bytes, Histogram& to, bool is_unset);
// Adds what encode_block wrote to a histogram of just those bins. Refuses wide sums where `to` is
// packed.
Status add_block(std::string_view bytes, Histogram& to);

}  // namespace evergrove::trees
