// SumRoutes: how the members' histograms of a block come together at its owner.
//
// They are added up along a tree of members, so that nobody receives more than `fan_in` of a block,
// however many members there are: the owner is its root, then come the members that count shards,
// in the view's order from the owner on. Owners lie evenly in that order, so that with as many
// blocks as the fan-in each member adds up for about one block, and the bytes that it receives do
// not grow with the members. Up to fan_in + 1 members all send to the owner.
//
// A function of the view alone: everybody has the same without being told.
//
//   const SumRoutes routes(view, member);
//   if (routes.adds(block)) expect(routes.expected(block));   // then on to routes.next(block)
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "evergrove/cluster/message.h"

namespace evergrove::cluster {

class SumRoutes {
 public:
  SumRoutes() = default;
  // member: whose routes, as its place in the view.
  SumRoutes(const View& view, size_t member);

  bool owns(uint32_t block) const { return has(block) && routes_[block].is_owner; }
  // Whether others' parts of the block come here; the owner's do even if there are no others.
  bool adds(uint32_t block) const { return has(block) && routes_[block].adds; }
  // How many contributions make the sum, its own included. Requires: adds().
  size_t expected(uint32_t block) const { return routes_[block].expected; }
  // Where the sum, or the own part, goes: a place in the view. Requires: !owns().
  size_t next(uint32_t block) const { return routes_[block].next; }

 private:
  struct Route {
    bool is_owner = false, adds = false;
    size_t expected = 0, next = 0;
  };
  bool has(uint32_t block) const { return block < routes_.size(); }

  std::vector<Route> routes_;  // by block
};

}  // namespace evergrove::cluster
