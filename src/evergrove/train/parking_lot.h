// ParkingLot: where parts of the rows lie in a scratch file, and the memory that they are brought
// into, which is kept from one part to the next. Asking the system for it anew each time costs as
// much as the reading: every page of it is cleared before it is read into.
//
// Rooms are as many as parts are in memory at once. Calls from many threads at once.
//
//   ParkingLot::Room room = lot.take();
//   EVERGROVE_RETURN_IF_ERROR(lot.file().read(place, room.sets[0].bins.data()));
//   lot.give_back(std::move(room));
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <memory>
#include <mutex>
#include <utility>
#include <vector>

#include "evergrove/base/large_vector.h"
#include "evergrove/base/scratch_file.h"
#include "evergrove/trees/gradients.h"

namespace evergrove::train {

class ParkingLot {
 public:
  // Arrays that hold nothing of value, for the sake of their memory.
  struct Room {
    struct Set {
      LargeVector<uint8_t> bins;
      std::vector<uint16_t> classes;
      std::vector<double> targets;
      std::vector<float> weights;
      LargeVector<int64_t> margins, next_margins;
    };
    std::vector<Set> sets;
    trees::Gradients gradients;
  };

  explicit ParkingLot(std::unique_ptr<ScratchFile> file) : file_(std::move(file)) {}

  ScratchFile& file() { return *file_; }

  // One that was given back, or an empty one.
  Room take() {
    const std::lock_guard lock(mutex_);
    if (rooms_.empty()) return {};
    Room room = std::move(rooms_.back());
    rooms_.pop_back();
    return room;
  }
  void give_back(Room room) {
    const std::lock_guard lock(mutex_);
    rooms_.push_back(std::move(room));
  }
  // Gives the memory of all that were given back to the system.
  void clear() {
    const std::lock_guard lock(mutex_);
    rooms_.clear();
  }

 private:
  std::unique_ptr<ScratchFile> file_;
  std::mutex mutex_;
  std::vector<Room> rooms_;
};

}  // namespace evergrove::train
