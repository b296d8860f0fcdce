// Mutations by name, with what each of them breaks, for evergrove-sim and its campaign.
//
//   const NamedMutation* found = find_mutation("count_part_twice");
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <span>
#include <string_view>

#include "evergrove/cluster/mutation.h"

namespace evergrove::sim {

struct NamedMutation {
  cluster::Mutation mutation;
  std::string_view name;
  std::string_view breaks;
  std::string_view harmless = "";  // why the run bears it, where another rule makes up for it
};

std::span<const NamedMutation> all_mutations();
const NamedMutation* find_mutation(std::string_view name);

}  // namespace evergrove::sim
