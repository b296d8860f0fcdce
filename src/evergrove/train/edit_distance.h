// The known name that is nearest to what was typed.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <span>
#include <string_view>

namespace evergrove::train {

// How many letters must be put in, left out, changed or swapped (Damerau and Levenshtein).
size_t edit_distance(std::string_view a, std::string_view b);

// Returns the index of the nearest name, the first of equally near ones. Requires: not empty.
size_t nearest(std::string_view typed, std::span<const std::string_view> names);

}  // namespace evergrove::train
