# Arrow C++ from the pyarrow wheel of the project's Python: headers and libraries are inside.
# Defines the target arrow; its run path is set by whoever installs.
set(evergrove_python_default ${PROJECT_SOURCE_DIR}/.venv/bin/python)
if(SKBUILD)
  set(evergrove_python_default ${Python_EXECUTABLE})  # pip's build environment
endif()
set(EVERGROVE_PYTHON_EXECUTABLE ${evergrove_python_default} CACHE FILEPATH
  "The Python whose pyarrow is built against")
if(NOT EVERGROVE_PYARROW_DIR)
  execute_process(
    COMMAND ${EVERGROVE_PYTHON_EXECUTABLE} -c
      "import importlib.util as u, os; print(os.path.dirname(u.find_spec('pyarrow').origin))"
    OUTPUT_VARIABLE EVERGROVE_PYARROW_DIR OUTPUT_STRIP_TRAILING_WHITESPACE
    RESULT_VARIABLE arrow_result)
  if(NOT arrow_result EQUAL 0)
    message(FATAL_ERROR
      "pyarrow was not found by ${EVERGROVE_PYTHON_EXECUTABLE}; run script/setup, or give "
      "-DEVERGROVE_PYTHON_EXECUTABLE or -DEVERGROVE_PYARROW_DIR")
  endif()
endif()
file(GLOB arrow_library ${EVERGROVE_PYARROW_DIR}/libarrow.so.*)
list(LENGTH arrow_library arrow_library_count)
if(NOT arrow_library_count EQUAL 1)
  message(FATAL_ERROR "expected one libarrow.so.* in ${EVERGROVE_PYARROW_DIR}")
endif()
string(REGEX REPLACE ".*libarrow\\.so\\." "" EVERGROVE_ARROW_SOVERSION ${arrow_library})
message(STATUS "Arrow ${EVERGROVE_ARROW_SOVERSION} in ${EVERGROVE_PYARROW_DIR}")

add_library(arrow INTERFACE)
target_include_directories(arrow SYSTEM INTERFACE ${EVERGROVE_PYARROW_DIR}/include)
target_link_directories(arrow INTERFACE ${EVERGROVE_PYARROW_DIR})
target_link_options(arrow INTERFACE -Wl,-rpath-link,${EVERGROVE_PYARROW_DIR})
foreach(part arrow parquet)
  target_link_libraries(arrow INTERFACE -l:lib${part}.so.${EVERGROVE_ARROW_SOVERSION})
endforeach()
set(CMAKE_BUILD_RPATH ${EVERGROVE_PYARROW_DIR})
