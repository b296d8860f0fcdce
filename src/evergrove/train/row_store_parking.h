// Where a RowStore's arrays lie in a file while they are not in memory.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <utility>
#include <vector>

#include "evergrove/base/scratch_file.h"
#include "evergrove/train/parking_lot.h"
#include "evergrove/train/row_store.h"

namespace evergrove::train {

struct RowStore::Parking {
  struct Set {
    ScratchPlace bins, classes, targets, weights, margins, next_margins;
  };
  ParkingLot* lot;
  ParkingLot::Room room;  // of what is not fetched; else its arrays are the store's
  std::vector<Set> sets;
  ScratchPlace wide_gradients;

  // The margins after an iteration are those that the next one begins with.
  void take_next_margins() {
    for (Set& set : sets) std::swap(set.margins, set.next_margins);
  }
};

}  // namespace evergrove::train
