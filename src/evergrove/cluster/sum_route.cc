// SPDX-License-Identifier: Apache-2.0
#include "evergrove/cluster/sum_route.h"

#include <algorithm>

namespace evergrove::cluster {

SumRoutes::SumRoutes(const View& view, size_t member) {
  std::vector<size_t> counting;  // members with shards
  for (size_t i = 0; i < view.members.size(); ++i) {
    if (!view.members[i].shards.empty()) counting.push_back(i);
  }
  const bool counts = std::binary_search(counting.begin(), counting.end(), member);
  const size_t fan_in = std::max<size_t>(view.fan_in, 2);
  for (const uint32_t owner : view.block_owners) {
    // Place 0 is the owner's; i + 1 that of the i-th that counts after it, round the view.
    const size_t after = static_cast<size_t>(
        std::upper_bound(counting.begin(), counting.end(), owner) - counting.begin());
    const bool owner_counts = std::binary_search(counting.begin(), counting.end(), owner);
    const size_t others = counting.size() - (owner_counts ? 1 : 0);
    const auto member_at = [&](size_t place) -> size_t {
      return place == 0 ? owner : counting[(after + place - 1) % counting.size()];
    };
    Route& route = routes_.emplace_back();
    route.is_owner = member == owner;
    size_t place = 0;
    if (!route.is_owner) {
      if (!counts) continue;
      const size_t at = static_cast<size_t>(
          std::lower_bound(counting.begin(), counting.end(), member) - counting.begin());
      place = (at + counting.size() - after) % counting.size() + 1;
      route.next = member_at((place - 1) / fan_in);
    }
    const size_t first_child = place * fan_in + 1;
    const size_t children = first_child > others ? 0 : std::min(fan_in, others - first_child + 1);
    route.adds = route.is_owner || children > 0;
    route.expected = children + (counts ? 1 : 0);
  }
}

}  // namespace evergrove::cluster
