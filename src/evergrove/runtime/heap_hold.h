// HeapHold: while there is one, the heap keeps some MiB of what it is given back.
//
// Dask starts its workers with MALLOC_TRIM_THRESHOLD_=65536, by which glibc gives the system back
// what is larger than 128 KiB, and the heap's end beyond 64 KiB, as soon as they are free. Reading
// and messages take and give back buffers of that size all the time, whose pages the system has to
// make anew each time: four fifths of all page faults of a worker. Does nothing where the
// environment has no such threshold, or one for large pieces, too; with the last one what the
// environment says holds again, and what is free goes to the system.
// Any thread.
//
//   const HeapHold hold;
// SPDX-License-Identifier: Apache-2.0
#pragma once

namespace evergrove::runtime {

// Has glibc's heap keep up to 16 MiB of what it is given back, and nothing of 4 MiB or more.
void keep_some_of_heap();

class HeapHold {
 public:
  HeapHold();
  ~HeapHold();
  HeapHold(const HeapHold&) = delete;
  HeapHold& operator=(const HeapHold&) = delete;
};

}  // namespace evergrove::runtime
