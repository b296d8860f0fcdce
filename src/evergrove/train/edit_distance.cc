// SPDX-License-Identifier: Apache-2.0
#include "evergrove/train/edit_distance.h"

#include <algorithm>
#include <vector>

#include "evergrove/base/check.h"

namespace evergrove::train {

size_t edit_distance(std::string_view a, std::string_view b) {
  // What is typed can be of any length; beyond this it is like no name anyway.
  constexpr size_t kLengthMax = 200;
  a = a.substr(0, kLengthMax);
  b = b.substr(0, kLengthMax);
  std::vector<std::vector<size_t>> d(a.size() + 1, std::vector<size_t>(b.size() + 1));
  for (size_t i = 0; i <= a.size(); ++i) d[i][0] = i;
  for (size_t j = 0; j <= b.size(); ++j) d[0][j] = j;
  for (size_t i = 1; i <= a.size(); ++i) {
    for (size_t j = 1; j <= b.size(); ++j) {
      d[i][j] = std::min(
          {d[i - 1][j] + 1, d[i][j - 1] + 1, d[i - 1][j - 1] + (a[i - 1] == b[j - 1] ? 0 : 1)});
      if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1]) {
        d[i][j] = std::min(d[i][j], d[i - 2][j - 2] + 1);
      }
    }
  }
  return d[a.size()][b.size()];
}

size_t nearest(std::string_view typed, std::span<const std::string_view> names) {
  CHECK(!names.empty());
  size_t best = 0;
  size_t best_distance = ~size_t{0};
  for (size_t i = 0; i < names.size(); ++i) {
    const size_t distance = edit_distance(typed, names[i]);
    if (distance < best_distance) {
      best_distance = distance;
      best = i;
    }
  }
  return best;
}

}  // namespace evergrove::train
