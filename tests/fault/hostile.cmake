# Files made to harm, damaged bit by bit, edited so that they do not fit, or written by other programs, given to what reads
# them; traces of runs that were killed.
set(hostile_test "${BP_PYTHON}" "${CMAKE_CURRENT_LIST_DIR}/hostile_test.py" --program "$<TARGET_FILE:backplane>")
if(BP_SANITIZE)
  list(APPEND hostile_test --sanitized)
endif()
add_test(NAME fault_hostile COMMAND ${hostile_test})
set_tests_properties(fault_hostile PROPERTIES LABELS fault)
foreach(test edited foreign_hdf5 killed_trace doors)
  add_test(NAME fault_${test} COMMAND "${BP_PYTHON}" "${CMAKE_CURRENT_LIST_DIR}/${test}_test.py" --program "$<TARGET_FILE:backplane>")
  set_tests_properties(fault_${test} PROPERTIES LABELS fault)
endforeach()
add_test(NAME fault_hostile_long CONFIGURATIONS Long
  COMMAND ${hostile_test} --every-byte)
set_tests_properties(fault_hostile_long PROPERTIES LABELS fault-long TIMEOUT 7200)
