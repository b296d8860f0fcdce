// Whatever the members, owners and fan-in: every part arrives at its owner, once, and nobody
// receives more than the fan-in.
// SPDX-License-Identifier: Apache-2.0
#include "evergrove/cluster/sum_route.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <set>

#include "evergrove/base/hash.h"

namespace evergrove::cluster {
namespace {

View view_of(size_t members, size_t blocks, uint32_t fan_in) {
  View view;
  view.fan_in = fan_in;
  for (size_t i = 0; i < members; ++i) {
    view.members.push_back({"w" + std::to_string(i), "", {static_cast<uint32_t>(i)}});
  }
  for (size_t b = 0; b < blocks; ++b) {
    view.block_owners.push_back(static_cast<uint32_t>(b * members / blocks));
  }
  return view;
}

TEST(SumRoutes, OfFewMembersGoStraightToTheOwner) {
  const View view = view_of(5, 2, 16);
  const SumRoutes other(view, 3);
  EXPECT_FALSE(other.adds(0));
  EXPECT_EQ(other.next(0), 0u);
  const SumRoutes owner(view, 0);
  EXPECT_TRUE(owner.owns(0) && owner.adds(0));
  EXPECT_EQ(owner.expected(0), 5u);
  EXPECT_FALSE(owner.owns(9)) << "there is no such block";
}

TEST(SumRoutes, BringEveryPartToItsOwnerOnce) {
  for (uint64_t seed = 0; seed < 400; ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    const RandomKey key(seed, "routes");
    const size_t members = 1 + key.at(0) % 60;
    const auto fan_in = static_cast<uint32_t>(2 + key.at(1) % 17);
    View view = view_of(members, 1 + key.at(2) % 16, fan_in);
    std::set<size_t> counting;
    for (size_t i = 0; i < members; ++i) {
      if (i > 0 && key.at(10 + i) % 4 == 0) view.members[i].shards.clear();
      if (!view.members[i].shards.empty()) counting.insert(i);
    }
    // Owners may lie anywhere after a loss, and need not count any shard.
    for (uint32_t& owner : view.block_owners) {
      if (key.at(owner + 1000) % 3 == 0) owner = static_cast<uint32_t>(key.at(owner) % members);
    }
    for (uint32_t block = 0; block < view.block_owners.size(); ++block) {
      std::vector<size_t> received(members, 0);
      for (size_t i = 0; i < members; ++i) {
        const SumRoutes routes(view, i);
        ASSERT_EQ(routes.owns(block), view.block_owners[block] == i);
        if (!counting.contains(i)) {
          EXPECT_TRUE(routes.owns(block) || !routes.adds(block));
          continue;
        }
        if (!routes.owns(block)) ++received[routes.next(block)];
        // Along the way to the owner, and never round in a circle.
        size_t at = i;
        for (size_t hops = 0; view.block_owners[block] != at; ++hops) {
          ASSERT_LE(hops, members);
          at = SumRoutes(view, at).next(block);
        }
      }
      for (size_t i = 0; i < members; ++i) {
        const SumRoutes routes(view, i);
        EXPECT_LE(received[i], fan_in);
        if (routes.adds(block)) {
          EXPECT_EQ(routes.expected(block), received[i] + counting.count(i));
        } else {
          EXPECT_EQ(received[i], 0u);
        }
      }
    }
  }
}

TEST(SumRoutes, OfManyMembersBurdenAllAlike) {
  const View view = view_of(1000, 16, 16);
  size_t most = 0;
  for (size_t i = 0; i < view.members.size(); ++i) {
    const SumRoutes routes(view, i);
    size_t received = 0;
    for (uint32_t block = 0; block < 16; ++block) {
      if (routes.adds(block)) received += routes.expected(block) - 1;
    }
    most = std::max(most, received);
  }
  EXPECT_LE(most, 32u) << "of 16 blocks of 1,000 members";
}

}  // namespace
}  // namespace evergrove::cluster
